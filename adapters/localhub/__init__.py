"""A Hub on loopback, for use without a token: the unmodified client speaks to it through HF_ENDPOINT.

It plays the part of the protocol that uploads, downloads and model cards need; its state lies on disk in one folder.
Everything that it serves to a browser is meant for the person at this machine.
"""
