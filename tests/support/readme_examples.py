"""The Python examples of the project's first README as they stood there, the package's name aside.

Each is run as a program of its own, in the order of the document; what one of them takes from the one before (the
imports, the model) it finds in `COMMON`.
"""

from __future__ import annotations

RANDOM_PROGRAMS = """\
from mlir_datagen import RandomMLIRGenerator

generator = RandomMLIRGenerator(seed=42)

# Generate training dataset
files = generator.generate_dataset(
    num_samples=1000,
    output_dir="data/train",
    operation_types=['matmul', 'conv2d', 'pooling']
)
"""

RESNET = """\
from mlir_datagen import NeuralNetworkToMLIR
from torchvision.models import resnet18

converter = NeuralNetworkToMLIR(output_dir="data/neural_nets")

model = resnet18()
mlir_file = converter.convert_model(
    model=model,
    input_shape=(1, 3, 224, 224),
    model_name="resnet18",
    use_torch_mlir=False  # Set True if torch-mlir installed
)
"""

QUICK_START = """\
from mlir_datagen import RandomMLIRGenerator
from pathlib import Path

gen = RandomMLIRGenerator()
gen.generate_dataset(1000, Path('data/quick_start'))
"""

CUSTOM_SCRIPT = """\
from mlir_datagen import RandomMLIRGenerator, NeuralNetworkToMLIR
from pathlib import Path

# 1. Generate random operations
generator = RandomMLIRGenerator(seed=42)
generator.generate_dataset(
    num_samples=500,
    output_dir=Path("data/custom_train"),
    operation_types=['matmul', 'conv2d']
)

# 2. Convert neural networks
converter = NeuralNetworkToMLIR(output_dir=Path("data/neural_nets"))

# Example: Convert a custom model
import torch.nn as nn

class SimpleNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(64*111*111, 10)

    def forward(self, x):
        x = self.pool(self.conv1(x))
        x = x.view(x.size(0), -1)
        x = self.fc(x)
        return x

model = SimpleNet()
converter.convert_model(
    model=model,
    input_shape=(1, 3, 224, 224),
    model_name="simple_net"
)
"""

PARAMETERS = """\
generator = RandomMLIRGenerator(seed=42)

# Customize dimensions
generator.generate_dataset(
    num_samples=1000,
    output_dir="data/train",
    operation_types=['matmul', 'conv2d', 'pooling', 'elementwise']
)
"""

CONVERSION = """\
converter = NeuralNetworkToMLIR(output_dir="data/neural_nets")

# With torch-mlir (better accuracy)
converter.convert_model(
    model=model,
    input_shape=(1, 3, 224, 224),
    model_name="resnet18",
    use_torch_mlir=True
)

# Manual mode (faster, common layers only)
converter.convert_model(
    model=model,
    input_shape=(1, 3, 224, 224),
    model_name="resnet18",
    use_torch_mlir=False
)
"""

SMALLER_BATCHES = """\
for i in range(10):
    generator.generate_dataset(
        num_samples=100,
        output_dir=f"data/train/batch_{i}"
    )
"""

COMMON = """\
from mlir_datagen import NeuralNetworkToMLIR, RandomMLIRGenerator
from torchvision.models import resnet18

model = resnet18()
generator = RandomMLIRGenerator()
"""
"""What the last three examples take from those before them."""
