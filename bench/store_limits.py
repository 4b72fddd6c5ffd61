#!/usr/bin/env python3
"""What an S3 store on this machine gives to a client that does nothing but send and receive: no comparison through a mount
can be faster, as store, proxy and client share the processors.

    bench/store_limits.py 127.0.0.1:9792 bench --access-key cider --secret-key ciderfscider

Prints requests and MiB a second of PUTs, then GETs, of the same objects, for each size and number of connections.
"""
import argparse
import concurrent.futures
import datetime
import hashlib
import hmac
import os
import socket
import statistics
import time


class Store:
    def __init__(self, arguments):
        self.arguments = arguments
        host, port = arguments.endpoint.rsplit(":", 1)
        self.address = (host, int(port))

    def head(self, method, path, length=None):
        """A request's head, signed by AWS's version 4, its body not."""
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        headers = {"host": self.arguments.endpoint, "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "x-amz-date": now}
        names = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        scope = f"{now[:8]}/us-east-1/s3/aws4_request"
        request = hashlib.sha256(f"{method}\n{path}\n\n{lines}\n{names}\nUNSIGNED-PAYLOAD".encode()).hexdigest()
        key = f"AWS4{self.arguments.secret_key}".encode()
        for part in [*scope.split("/"), f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{request}"]:
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.arguments.access_key}/{scope}, "
                                    f"SignedHeaders={names}, Signature={key.hex()}")
        if length is not None:
            headers["content-length"] = length
        return f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"

    def transfer(self, method, names, body, took):
        with socket.create_connection(self.address) as link:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            room = bytearray(1 << 20)
            for name in names:
                began = time.monotonic()
                path = f"/{self.arguments.bucket}/limits/{name}"
                link.sendall(self.head(method, path, len(body) if method == "PUT" else None).encode())
                if method == "PUT":
                    link.sendall(body)
                answer = link.recv(65536)
                if b" 200 " not in answer[:16]:
                    raise RuntimeError(f"{method} {path}: {answer.decode(errors='replace')}")
                left = len(body) - len(answer.split(b"\r\n\r\n", 1)[1]) if method == "GET" else 0
                while left > 0:
                    got = link.recv_into(room)
                    if got == 0:
                        raise RuntimeError(f"{method} {path}: the answer ended early")
                    left -= got
                took.append(time.monotonic() - began)


def measure(store, size, connections, count):
    body = os.urandom(size)
    for method in ("PUT", "GET"):
        took = []
        with concurrent.futures.ThreadPoolExecutor(connections) as threads:
            processor, began = time.process_time(), time.monotonic()
            for done in [threads.submit(store.transfer, method, [f"{size}-{t}-{i}" for i in range(count // connections)], body, took)
                         for t in range(connections)]:
                done.result()
            seconds, own = time.monotonic() - began, time.process_time() - processor
        gib = len(took) * size / (1 << 30)
        print(f"{method} of {size >> 10} KiB, {connections:2} connections: {len(took) / seconds:6.1f}/s, "
              f"{gib * 1024 / seconds:6.1f} MiB/s, median {statistics.median(took) * 1000:6.1f} ms, "
              f"{own / gib * 1000:5.0f} ms/GiB of its own", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("endpoint", help="HOST:PORT, plain http")
    parser.add_argument("bucket")
    parser.add_argument("--access-key", required=True)
    parser.add_argument("--secret-key", required=True)
    arguments = parser.parse_args()
    store = Store(arguments)
    measure(store, 100 << 10, 1, 200)
    for connections in (8, 16, 20):
        measure(store, 4 << 20, connections, 240)


if __name__ == "__main__":
    main()
