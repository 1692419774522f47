"""S3 for the SDK's driver, opened at the first use.

Credentials and region are those of boto's own chain (AWS_* variables, profiles, roles).
"""

import asyncio
from collections.abc import AsyncGenerator

import aioboto3
from temporalio.contrib.aws.s3driver import S3StorageDriverClient
from temporalio.contrib.aws.s3driver.aioboto3 import new_aioboto3_client


class LazyS3Client(S3StorageDriverClient):
    """A client that most processes never open.

    Args:
        endpoint: The address of a service that speaks S3; empty for Amazon's own.
    """

    def __init__(self, endpoint: str = "") -> None:
        self._opening = asyncio.Lock()
        self._clients = clients(endpoint)
        self._client: S3StorageDriverClient | None = None

    async def put_object(self, *, bucket: str, key: str, data: bytes) -> None:
        """Write an object."""
        await (await self._opened()).put_object(bucket=bucket, key=key, data=data)

    async def object_exists(self, *, bucket: str, key: str) -> bool:
        """Say that there is no such object, so that the driver writes it.

        Buckets delete by age: one that another run wrote long ago would be gone too soon for the
        run that relies on it now. And one that is damaged is mended.
        """
        return False

    async def get_object(self, *, bucket: str, key: str) -> bytes:
        """Read an object."""
        return await (await self._opened()).get_object(bucket=bucket, key=key)

    async def _opened(self) -> S3StorageDriverClient:
        async with self._opening:
            if self._client is None:
                self._client = await anext(self._clients)
            return self._client


async def clients(endpoint: str) -> AsyncGenerator[S3StorageDriverClient]:
    """One client, for as long as this is not closed: an event loop that ends closes what is open.

    So nobody has to, of all the commands that may meet a large value.
    """
    opened = aioboto3.Session().client("s3", endpoint_url=endpoint or None)  # pyright: ignore
    async with opened as client:  # pyright: ignore
        yield new_aioboto3_client(client)  # pyright: ignore
