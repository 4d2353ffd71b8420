"""The whole job on a sample repository, without a key: a local server replays a recorded model over real HTTP."""
