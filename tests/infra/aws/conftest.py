"""The account in moto that these tests share with those of the commands."""

from motoaws import aws, client, moto, protected

__all__ = ["aws", "client", "moto", "protected"]
