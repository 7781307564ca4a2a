"""Programs of several operations, drawn at random: sequences, graphs with fan-out, and blocks as networks have them.

Program i of a family follows from the seed, the family and i. What an operation does to a graph is a function in
`rules`; a family in `families` says in which order they are applied.
"""
