"""ML Metadata over gRPC, on the store of the `ml_metadata` wheel; the one file here that runs inside a pod.

The wheel carries the store but no server: a method forwards its serialized request to the store's function
of the same name.
"""

import argparse
from collections.abc import Callable
from concurrent import futures

import grpc
from ml_metadata.metadata_store.pywrap.metadata_store_extension import metadata_store
from ml_metadata.proto import metadata_store_pb2, metadata_store_service_pb2

CODES = {code.value[0]: code for code in grpc.StatusCode}


def forward(
    store: object, call: Callable[[object, bytes], tuple[bytes, bytes, int]]
) -> grpc.RpcMethodHandler:
    """A handler without (de)serializers: bytes in, bytes out."""

    def handle(request: bytes, context: grpc.ServicerContext) -> bytes:
        response, message, code = call(store, request)
        if code:
            context.abort(CODES[code], message.decode())
        return response

    return grpc.unary_unary_rpc_method_handler(handle)


def main() -> None:
    """Serve until killed; one thread, as SQLite has one writer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", required=True)
    arguments = parser.parse_args()
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = arguments.database
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    migration = metadata_store_pb2.MigrationOptions().SerializeToString()
    store = metadata_store.CreateMetadataStore(config.SerializeToString(), migration)
    service = metadata_store_service_pb2.DESCRIPTOR.services_by_name["MetadataStoreService"]
    handlers = {
        method.name: forward(store, getattr(metadata_store, method.name))
        for method in service.methods
        if hasattr(metadata_store, method.name)
    }
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
    server.add_insecure_port(f"0.0.0.0:{arguments.port}")
    server.start()
    server.wait_for_termination()


main()
