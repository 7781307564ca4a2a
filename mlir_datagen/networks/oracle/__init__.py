"""The oracle of networks: what PyTorch says (`reference`), the program's answers (`running`), the verdict on both."""
