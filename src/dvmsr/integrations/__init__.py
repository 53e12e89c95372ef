"""The network in other people's programs. Nothing here imports these programs before it is asked for."""
