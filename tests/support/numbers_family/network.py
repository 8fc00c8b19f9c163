"""Its one architecture: a hidden layer on that tensor."""

from torch import nn

from model_code.training import Recipe


class Plain:
    tunes, side_by_side = False, True

    def __init__(self, rows, quality):
        self.rows = rows

    def recipe(self):
        return Recipe(learning_rate=0.05, weight_decay=0.0, batch_size=32, epochs=30, patience=10)

    def preprocessor(self, inputs, schema):
        return AsTuple()

    def network(self, preprocessor, prepared, width):
        return PlainNetwork(prepared[0].shape[1], width)

    def describe(self):
        return {"hidden": 16}


class AsTuple(nn.Module):
    def forward(self, numbers):
        return (numbers,)


class PlainNetwork(nn.Module):
    """Raw outputs [b, 1, width] of numbers float32[b, c]."""

    def __init__(self, columns, width):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(columns, 16), nn.ReLU(), nn.Linear(16, width))

    def forward(self, numbers):
        return self.layers(numbers).unsqueeze(1)
