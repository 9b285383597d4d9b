internal import CBatonWire
internal import ControlProtocol
internal import KVCore

/// The payload of `Message.credit`.
struct Credit: @unsafe WireConvertible {
  var bytes: UInt32

  init(bytes: UInt32) { self.bytes = bytes }

  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__Credit> {
    let wire = unsafe arena.make(baton__v1__credit__init)
    unsafe wire.pointee.bytes = bytes
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__Credit>) throws(BatonError) {
    bytes = unsafe wire.pointee.bytes
    guard bytes > 0 else { throw BatonError(.invalidArgument, "Credit.bytes is 0") }
  }
}

/// The payload of `Message.ping`.
struct Ping: @unsafe WireConvertible {
  var number: UInt64

  init(number: UInt64) { self.number = number }

  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__Ping> {
    let wire = unsafe arena.make(baton__v1__ping__init)
    unsafe wire.pointee.number = number
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__Ping>) throws(BatonError) {
    number = unsafe wire.pointee.number
  }
}

/// The payload of `Message.pong`.
struct Pong: @unsafe WireConvertible {
  var number: UInt64

  init(number: UInt64) { self.number = number }

  func wire(in arena: borrowing WireArena) -> UnsafeMutablePointer<Baton__V1__Pong> {
    let wire = unsafe arena.make(baton__v1__pong__init)
    unsafe wire.pointee.number = number
    return unsafe wire
  }

  init(wire: UnsafeMutablePointer<Baton__V1__Pong>) throws(BatonError) {
    number = unsafe wire.pointee.number
  }
}
