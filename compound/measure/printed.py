"""What the paper prints about accuracy and CPU latency, to stand beside what is measured."""

# ImageNet top-1, per cent, single crop (Table 2; AmoebaNet-B is its GPipe).
TOP1 = {
    "efficientnet-b0": 77.1, "resnet-50": 76.0, "densenet-169": 76.2,
    "efficientnet-b1": 79.1, "resnet-152": 77.8, "densenet-264": 77.9, "inception-v3": 78.8, "xception": 79.0,
    "efficientnet-b2": 80.1, "inception-v4": 80.0, "inception-resnet-v2": 80.1,
    "efficientnet-b3": 81.6, "resnext-101-64x4d": 80.9, "polynet": 81.3,
    "efficientnet-b4": 82.9, "senet-154": 82.7, "nasnet-a-large": 82.7, "amoebanet-a-6-448": 82.8,
    "pnasnet-5-large": 82.9,
    "efficientnet-b5": 83.6, "amoebanet-c-6-228": 83.5,
    "efficientnet-b6": 84.0,
    "efficientnet-b7": 84.3, "amoebanet-b-6-512": 84.3,
}  # fmt: skip

# Table 4: seconds at batch 1 on one core of a Xeon E5-2690, mean of 20 runs, and how many times faster the second is.
TABLE4 = (
    ("resnet-152", 0.554, "efficientnet-b1", 0.098, 5.7),
    ("amoebanet-b-6-512", 19.0, "efficientnet-b7", 3.1, 6.1),
)
