"""The account in moto that these tests share with those of the commands."""

from motoaws import client, here, moto, protected

__all__ = ["client", "here", "moto", "protected"]
