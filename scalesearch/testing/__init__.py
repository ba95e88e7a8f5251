"""Contracts of the parts that others add: a runner, a policy, a data source, a family.

    from scalesearch.testing import check_policy

    check_policy(mine)

Each check raises AssertionError for the first thing that does not hold, and says which. They need
no test framework, and are what the package's own parts are held to.
"""

from scalesearch.testing.families import check_family
from scalesearch.testing.policies import check_policy
from scalesearch.testing.runners import check_runner
from scalesearch.testing.sources import check_source

__all__ = ["check_family", "check_policy", "check_runner", "check_source"]
