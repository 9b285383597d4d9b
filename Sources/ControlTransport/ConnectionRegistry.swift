internal import ControlProtocol
internal import KVCore
internal import NIOCore
internal import Synchronization

/// The connections that a server has accepted, so that they can be counted and closed.
final class ConnectionRegistry: Sendable {
  private struct State {
    var identity: LocalIdentity
    var channels: [ObjectIdentifier: any Channel] = [:]
    var connections: [ObjectIdentifier: ControlConnection] = [:]
    var isClosed = false
  }

  private let state: Mutex<State>

  init(identity: LocalIdentity) { state = Mutex(State(identity: identity)) }

  var identity: LocalIdentity { state.withLock { $0.identity } }

  /// Tells the registry where the server is reached; returns the full identity.
  func open(addresses: [String]) -> LocalIdentity {
    state.withLock { state in
      if state.identity.info.addresses.isEmpty { state.identity.info.addresses = addresses }
      return state.identity
    }
  }

  /// Takes in an accepted channel; returns why it must be refused instead.
  func admit(_ channel: any Channel, _ opened: EventLoopFuture<ControlConnection>) -> BatonError? {
    let id = ObjectIdentifier(channel)
    let refusal: BatonError? = state.withLock { state in
      if state.isClosed { return BatonError(.unavailable, "the server is shutting down") }
      state.channels[id] = channel
      guard state.channels.count <= Limits.maximumConnections else {
        return BatonError(
          .resourceExhausted, "\(Limits.maximumConnections) connections are open, no more are taken"
        )
      }
      return nil
    }
    opened.whenSuccess { connection in
      let isClosed = self.state.withLock { state in
        state.connections[id] = connection
        return state.isClosed
      }
      if isClosed { connection.close() }
    }
    channel.closeFuture.whenComplete { _ in
      self.state.withLock { state in
        state.channels[id] = nil
        state.connections[id] = nil
      }
    }
    return refusal
  }

  /// Closes everything; returns the channels, whose end can be awaited.
  func closeAll() -> [any Channel] {
    let (channels, connections) = state.withLock { state in
      state.isClosed = true
      return (state.channels, state.connections)
    }
    for (id, channel) in channels {
      if let connection = connections[id] {
        connection.close()
      } else {
        channel.close(promise: nil)
      }
    }
    return Array(channels.values)
  }
}
