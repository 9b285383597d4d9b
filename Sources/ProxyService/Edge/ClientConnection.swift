import NIOCore
import Synchronization

/// Notices at once that a client has gone away, whatever is being done for it.
///
/// Hummingbird's `consumeWithCancellationOnInboundClose` does so by reading the connection's next
/// request, after which the connection cannot be used again; this handler watches the channel's
/// events and leaves kept-alive connections as they are.
final class ClientConnection: ChannelInboundHandler, RemovableChannelHandler, Sendable {
  // Parts of requests pass through unread.
  typealias InboundIn = NIOAny

  private struct State {
    var isGone = false
    var onGone: (@Sendable () -> Void)?
  }

  private let state = Mutex(State())

  /// Calls `action` once when the client goes away, at once if it is gone already. The one before
  /// is forgotten; nil forgets it.
  func whenGone(_ action: (@Sendable () -> Void)?) {
    let isGone = state.withLock { state in
      state.onGone = state.isGone ? nil : action
      return state.isGone
    }
    if isGone { action?() }
  }

  /// A client that closes its sending side alone is gone as well: HTTP/1.1 clients do not.
  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case ChannelEvent.inputClosed? = event as? ChannelEvent { leave() }
    context.fireUserInboundEventTriggered(event)
  }

  func channelInactive(context: ChannelHandlerContext) {
    leave()
    context.fireChannelInactive()
  }

  private func leave() {
    let action = state.withLock { state in
      defer { state.onGone = nil }
      state.isGone = true
      return state.onGone
    }
    action?()
  }
}
