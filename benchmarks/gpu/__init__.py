"""What can be said of GPUs: on any machine what kernels compile to, on one with CUDA everything else."""
