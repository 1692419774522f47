"""S3 for the SDK's driver, opened at the first use.

Credentials and region are those of boto's own chain (AWS_* variables, profiles, roles).
"""

import asyncio
from contextlib import AsyncExitStack

import aioboto3
from temporalio.contrib.aws.s3driver import S3StorageDriverClient
from temporalio.contrib.aws.s3driver.aioboto3 import new_aioboto3_client


class LazyS3Client(S3StorageDriverClient):
    """A client that most processes never open.

    Args:
        endpoint: The address of a service that speaks S3; empty for Amazon's own.
    """

    def __init__(self, endpoint: str = "") -> None:
        self._endpoint = endpoint
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._client: S3StorageDriverClient | None = None

    async def put_object(self, *, bucket: str, key: str, data: bytes) -> None:
        """Write an object."""
        await (await self._opened()).put_object(bucket=bucket, key=key, data=data)

    async def object_exists(self, *, bucket: str, key: str) -> bool:
        """Whether there is such an object."""
        return await (await self._opened()).object_exists(bucket=bucket, key=key)

    async def get_object(self, *, bucket: str, key: str) -> bytes:
        """Read an object."""
        return await (await self._opened()).get_object(bucket=bucket, key=key)

    async def close(self) -> None:
        """Close what was opened."""
        self._client = None
        await self._stack.aclose()

    async def _opened(self) -> S3StorageDriverClient:
        async with self._opening:
            if self._client is None:
                session = aioboto3.Session()
                opened = session.client("s3", endpoint_url=self._endpoint or None)  # pyright: ignore
                self._client = new_aioboto3_client(await self._stack.enter_async_context(opened))  # pyright: ignore
            return self._client
