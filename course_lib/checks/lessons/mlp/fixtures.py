"""What the checks of the MLP share."""

LESSON = "06_mlp_and_block"
FORMS = ("none", "tanh")
