"""The transfer engines that Baton is measured beside, each behind the same few calls.

A source offers memory, a reader connects to it and reads pieces of it. Where both must know of each
other, the reader's answer goes back to the source (`accept`).
"""

import base64
import collections
import importlib.metadata


class Mooncake:
    """Transfer engine of Mooncake (kvcache-ai), over its own TCP protocol."""

    title = "Mooncake"
    transport = "tcp"
    package = "mooncake-transfer-engine-non-cuda"
    environment = {"MC_LOG_LEVEL": "ERROR", "GLOG_minloglevel": "2"}

    def __init__(self, role, address, length):
        from mooncake.engine import TransferEngine

        self.engine = TransferEngine()
        self.address = address
        expect(self.engine.initialize("127.0.0.1", "P2PHANDSHAKE", "tcp", "") == 0, "initialize")
        expect(self.engine.register_memory(address, length) == 0, "register_memory")

    def offer(self):
        return {"session": f"127.0.0.1:{self.engine.get_rpc_port()}", "address": self.address}

    def connect(self, offer):
        self.session, self.remote = offer["session"], offer["address"]
        return {}

    def accept(self, answer):
        pass

    def read(self, targets, sources, length):
        result = self.engine.batch_transfer_sync_read(
            self.session,
            [self.address + offset for offset in targets],
            [self.remote + offset for offset in sources],
            [length] * len(targets),
        )
        expect(result == 0, f"batch_transfer_sync_read: {result}")


class NIXL:
    """NIXL (ai-dynamo) with its default backend, UCX, which takes what is fastest here."""

    title = "NIXL"
    transport = "UCX, its choice"
    package = "nixl-cu12"
    environment = {"NIXL_LOG_LEVEL": "ERROR", "UCX_LOG_LEVEL": "error"}

    def __init__(self, role, address, length):
        from nixl_cu12._api import nixl_agent, nixl_agent_config

        self.name = role
        self.address = address
        self.agent = nixl_agent(role, nixl_agent_config(backends=["UCX"]))
        self.registered = self.agent.register_memory([(address, length, 0, "")], "DRAM")

    def offer(self):
        metadata = base64.b64encode(self.agent.get_agent_metadata()).decode()
        return {"metadata": metadata, "address": self.address}

    def connect(self, offer):
        self.peer = self.agent.add_remote_agent(base64.b64decode(offer["metadata"]))
        self.remote = offer["address"]
        self.prepared = {}
        return {}

    def accept(self, answer):
        pass

    def read(self, targets, sources, length):
        # Descriptor lists are made once for all blocks, as vLLM's connector does; a pull names
        # places in them.
        key = (id(targets), id(sources), length)
        if key not in self.prepared:
            def descriptors(base, offsets):
                triples = [(base + offset, length, 0) for offset in offsets]
                return self.agent.get_xfer_descs(triples, "DRAM")

            self.prepared[key] = (
                self.agent.prep_xfer_dlist("NIXL_INIT_AGENT", descriptors(self.address, targets)),
                self.agent.prep_xfer_dlist(self.peer, descriptors(self.remote, sources)),
                list(range(len(targets))),
                targets,
                sources,
            )
        local, remote, places = self.prepared[key][:3]
        handle = self.agent.make_prepped_xfer("READ", local, places, remote, places)
        state = self.agent.transfer(handle)
        while state == "PROC":
            state = self.agent.check_xfer_state(handle)
        expect(state == "DONE", f"transfer: {state}")
        self.agent.release_xfer_handle(handle)


class NIXLOverTCP(NIXL):
    """The same without what only works on one node."""

    transport = "UCX, tcp"
    environment = NIXL.environment | {"UCX_TLS": "tcp"}


class DLSlime:
    """DLSlime (DeepLink), over its TCP endpoint."""

    title = "DLSlime"
    transport = "tcp"
    package = "dlslime"
    environment = {"SLIME_LOG_LEVEL": "0"}

    def __init__(self, role, address, length):
        from dlslime import _slime_c

        self.endpoint = _slime_c.TcpEndpoint("127.0.0.1", 0)
        self.local = self.endpoint.register_memory_region("kv", address, 0, length)

    def offer(self):
        return self.endpoint.endpoint_info()

    def connect(self, offer):
        self.endpoint.connect(offer)
        self.remote = self.endpoint.register_remote_memory_region("kv", offer["mr_info"]["kv"])
        return self.endpoint.endpoint_info()

    def accept(self, answer):
        self.endpoint.connect(answer)

    def read(self, targets, sources, length):
        # A read for each piece, some in flight: with more, or with all pieces in one read, its
        # answers stop for a second at a time.
        waiting = collections.deque()
        for target, source in zip(targets, sources):
            if len(waiting) == 16:
                self.finish(waiting.popleft())
            piece = (self.local, self.remote, source, target, length)
            waiting.append(self.endpoint.read([piece]))
        for future in waiting:
            self.finish(future)

    def finish(self, future):
        result = future.wait()
        expect(result == 0, f"read: {result}")


SYSTEMS = {
    "mooncake": Mooncake,
    "nixl": NIXL,
    "nixl-tcp": NIXLOverTCP,
    "dlslime": DLSlime,
}


def version(system):
    """The installed version of a system's package."""
    return importlib.metadata.version(SYSTEMS[system].package)


def expect(holds, what):
    """Raises what a system says of a call that failed."""
    if not holds:
        raise RuntimeError(what)
