internal import NIOCore

extension NIOBSDSocket.Option {
  /// `TCP_NOTSENT_LOWAT` of Linux (tcp(7), `linux/tcp.h`): how much the kernel takes that it cannot
  /// send yet. NIO has no name for it.
  static let notSentLowWater = NIOBSDSocket.Option(rawValue: 25)
}
