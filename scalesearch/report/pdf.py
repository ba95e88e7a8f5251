"""A report as PDF, printed by a Chromium that is on the machine."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from scalesearch.errors import ParameterError
from scalesearch.files import write_bytes

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SECONDS = 120


def find_browser() -> str | None:
    """The path of the first browser of BROWSERS that is installed, None where none is."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def print_pdf(page: Path) -> Path:
    """The path of the PDF beside an HTML page. Raises ValueError where no browser prints it."""
    browser = find_browser()
    if browser is None:
        raise ParameterError(
            "format",
            "pdf needs Chromium to print with, got none: install it (apt-get install chromium), "
            "or print report.html from any browser",
        )
    out = page.with_suffix(".pdf")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        partial = Path(profile) / "report.pdf"
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            "--no-pdf-header-footer",
            f"--user-data-dir={profile}",
            "--virtual-time-budget=20000",
            f"--print-to-pdf={partial}",
            page.resolve().as_uri(),
        ]
        # Chromium's sandbox refuses root, whom Windows does not have
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.insert(1, "--no-sandbox")
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ValueError(f"{browser} must print {page}: {error}") from None
        if not partial.exists():
            last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise ValueError(f"{browser} must print {page}: {last}")
        write_bytes(out, partial.read_bytes())
    return out
