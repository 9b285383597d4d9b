import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Asks a client for the body that it holds back until it is told to go on (RFC 9110, 10.1.1): curl
/// does so with more than 1 MiB, and waits for a second where nobody answers.
final class ExpectContinue: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart
  typealias OutboundIn = HTTPResponsePart
  typealias OutboundOut = HTTPResponsePart

  /// Requests whose response is not written to its end. Nothing may come in between.
  private var unanswered = 0

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if case .head(let request) = unwrapInboundIn(data) {
      if unanswered == 0, request.headerFields[.expect]?.lowercased() == "100-continue" {
        let goOn = HTTPResponsePart.head(HTTPResponse(status: .continue))
        context.writeAndFlush(wrapOutboundOut(goOn), promise: nil)
      }
      unanswered += 1
    }
    context.fireChannelRead(data)
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    if case .end = unwrapOutboundIn(data) { unanswered -= 1 }
    context.write(data, promise: promise)
  }
}
