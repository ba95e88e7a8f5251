# circles.py
import io

import torch
from torch import nn
from torch.nn import functional as F

PIXELS = 48  # a side, of the images that there are


def convolutions(inputs, outputs, count):
    layers = []
    for i in range(count):
        layers += [nn.Conv2d(outputs if i else inputs, outputs, 3, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    def __init__(self, depth, width):
        super().__init__()
        fine, coarse, count = round(8 * width), round(16 * width), round(2 * depth)
        self.down = convolutions(1, fine, count)
        self.bottom = convolutions(fine, coarse, count)
        self.up = convolutions(fine + coarse, fine, count)
        self.head = nn.Conv2d(fine, 1, 1)

    def forward(self, images):
        fine = self.down(images)
        coarse = self.bottom(F.max_pool2d(fine, 2))
        coarse = F.interpolate(coarse, size=fine.shape[-2:])
        return {"mask": self.head(self.up(torch.cat([fine, coarse], 1)))}


def unet(depth, width, resolution):
    return UNet(depth, width)


def drawn(count, seed):
    """Noisy images of a circle and a square, and where the circle is."""
    generator = torch.Generator().manual_seed(seed)
    x, y, size = torch.rand(3, 2, count, 1, 1, generator=generator)
    half, along = 0.08 + 0.12 * size, torch.linspace(0, 1, PIXELS)
    dx, dy = (along - x).abs(), (along[:, None] - y).abs()
    circle = dx[0] ** 2 + dy[0] ** 2 < half[0] ** 2
    square = torch.maximum(dx[1], dy[1]) < half[1]
    noise = 0.5 * torch.randn(count, PIXELS, PIXELS, generator=generator)
    return ((circle | square) + noise)[:, None], circle[:, None].float()


def resized(maps, pixels):
    return F.interpolate(maps, size=(pixels, pixels), mode="bilinear", antialias=True)


def overlaps(found, truth):
    """Intersection over union of each mask with that of the circle."""
    both = (found * truth).sum((1, 2, 3))
    return both / (found.sum((1, 2, 3)) + truth.sum((1, 2, 3)) - both).clamp(min=1)


def train(network, run):
    images, masks = (resized(maps, run.resolution) for maps in drawn(512, 0))
    held_out, truth = drawn(256, 1)
    optimizer = torch.optim.Adam(network.parameters())
    if run.checkpoint is not None:  # what it yielded when it was interrupted
        left = torch.load(io.BytesIO(run.checkpoint), weights_only=True)
        network.load_state_dict(left["network"])
        optimizer.load_state_dict(left["optimizer"])
    for epoch in range(run.done, run.epochs):
        optimizer.param_groups[0]["lr"] = 0.01 * (1 - epoch / run.epochs) ** 2
        network.train()
        order = torch.randperm(512, generator=torch.Generator().manual_seed(run.seed + epoch))
        for batch in order.split(16):
            logits = network(images[batch])["mask"]
            loss = F.binary_cross_entropy_with_logits(logits, masks[batch])
            loss = loss + 1 - overlaps(logits.sigmoid(), masks[batch]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        network.eval()
        with torch.no_grad():
            logits = network(resized(held_out, run.resolution))["mask"]
        found = (resized(logits, PIXELS) > 0).float()  # where all networks are compared alike
        each = overlaps(found, truth)
        file = io.BytesIO()
        torch.save({"network": network.state_dict(), "optimizer": optimizer.state_dict()}, file)
        yield {
            "IoU": each.mean(),
            "examples": each,  # of each image held out: their choice is then reckoned with
            "checkpoint": file.getvalue(),  # so that an interrupted trial goes on from here
        }
