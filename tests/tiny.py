"""Networks that several rooms of tests train."""

TINY = """
name: tiny
resolution: 14
stem: {block: conv, channels: 8, stride: 2}
stages:
- {block: mbconv, kernel: 3, expand: 2, layers: 1, channels: 8}
head: {channels: 16}
inputs: {mean: [0.3], std: [0.35], margin: 0}
"""
