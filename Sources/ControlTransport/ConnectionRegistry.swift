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
    /// Channels whose handshake is not over, by the order of their coming.
    var strangers: [ObjectIdentifier: UInt64] = [:]
    var accepted: UInt64 = 0
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
  ///
  /// Who has not shown who it is has few places, of which the newest keep theirs: strangers cannot
  /// take those of peers.
  func admit(_ channel: any Channel, _ opened: EventLoopFuture<ControlConnection>) -> BatonError? {
    let id = ObjectIdentifier(channel)
    let (refusal, oldest) = state.withLock { state -> (BatonError?, (any Channel)?) in
      if state.isClosed { return (BatonError(.unavailable, "the server is shutting down"), nil) }
      state.channels[id] = channel
      state.accepted += 1
      state.strangers[id] = state.accepted
      let oldest =
        state.strangers.count > Limits.maximumStrangers
        ? state.strangers.min { $0.value < $1.value }?.key : nil
      if let oldest { state.strangers[oldest] = nil }
      let closing = oldest.flatMap { state.channels[$0] }
      guard state.connections.count < Limits.maximumConnections else {
        let error = BatonError(
          .resourceExhausted, "\(Limits.maximumConnections) connections are open, no more are taken"
        )
        return (error, closing)
      }
      return (nil, closing)
    }
    oldest?.close(promise: nil)
    opened.whenSuccess { connection in
      let isClosed = self.state.withLock { state in
        state.strangers[id] = nil
        state.connections[id] = connection
        return state.isClosed
      }
      if isClosed { connection.close() }
    }
    channel.closeFuture.whenComplete { _ in
      self.state.withLock { state in
        state.channels[id] = nil
        state.strangers[id] = nil
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
