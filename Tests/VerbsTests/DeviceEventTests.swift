import KVCore
import TestSupport
import Testing
import Verbs

@Suite("Device events")
struct DeviceEventTests {
  @Test(
    "Events are what enum ibv_event_type says, and name what they are about",
    arguments: [
      (0, 7, DeviceEvent.completionQueueFailed(number: 7)),
      (1, 0x12345, .queuePairFailed(number: 0x12345)), (2, 5, .queuePairFailed(number: 5)),
      (3, 6, .queuePairFailed(number: 6)), (4, 5, .other(type: 4)), (5, 5, .other(type: 5)),
      (8, 0, .deviceFailed), (9, 2, .portActive(port: 2)), (10, 1, .portDown(port: 1)),
      (11, 1, .portChanged(port: 1)), (12, 1, .portChanged(port: 1)),
      (13, 1, .portChanged(port: 1)), (16, 0, .other(type: 16)), (17, 3, .portChanged(port: 3)),
      (18, 1, .portChanged(port: 1)), (77, 0, .other(type: 77)),
    ])
  func kinds(type: UInt32, subject: UInt64, event: DeviceEvent) {
    #expect(DeviceEvent(type: type, subject: subject) == event)
  }
}

/// In the lab a test may take the link of the device down.
@Suite(
  "Device events in the lab", .serialized, .timeLimit(.minutes(2)),
  .enabled(if: RDMALab.isHere, "links are taken down in the lab only"))
struct LabDeviceEventTests {
  /// The events of a device, one after the other.
  private final class Recorder {
    let listener: DeviceEvents
    private var events: AsyncStream<DeviceEvent>.Iterator

    init(_ device: DeviceContext) throws {
      let (events, continuation) = AsyncStream<DeviceEvent>.makeStream()
      self.events = events.makeAsyncIterator()
      listener = try DeviceEvents(of: [device]) { _, event in continuation.yield(event) }
    }

    /// Waits until `event` comes; others are passed over.
    func wait(for event: DeviceEvent) async {
      while let next = await events.next(isolation: nil), next != event {}
    }
  }

  @Test("A port that goes down, and comes up again, is told of")
  func port() async throws {
    let name = try #require(DeviceContext.deviceNames().first)
    let device = try DeviceContext(opening: name)
    let recorder = try Recorder(device)
    defer { try? RDMALab.run("ip", "link", "set", RDMALab.interface, "up") }
    try RDMALab.run("ip", "link", "set", RDMALab.interface, "down")
    await recorder.wait(for: .portDown(port: 1))
    #expect(device.port(1)?.isActive == false)
    try RDMALab.run("ip", "link", "set", RDMALab.interface, "up")
    await recorder.wait(for: .portActive(port: 1))
    #expect(device.port(1)?.isActive == true)
    recorder.listener.close()
  }

  @Test("A completion queue that overruns is named, and can be destroyed with what it reported")
  func completionQueue() async throws {
    let loopback = try Loopback(completions: 1)
    let recorder = try Recorder(loopback.device)
    let ends = try loopback.ends()
    let read = ends.read(id: 0, length: 64)
    #expect(ends.reader.post(32, { _ in read }).error == nil)
    await recorder.wait(for: .completionQueueFailed(number: loopback.queue.number))
    let other = try CompletionQueue(device: loopback.device, capacity: 1)
    #expect(other.number != loopback.queue.number)
  }

  @Test("A listener that nobody keeps ends its thread, and so does one that is closed twice")
  func end() throws {
    let name = try #require(DeviceContext.deviceNames().first)
    var device: DeviceContext? = try DeviceContext(opening: name)
    weak let watched = device
    for closes in [true, false] {
      let listener = try DeviceEvents(of: [try #require(device)]) { _, _ in }
      if closes {
        listener.close()
        listener.close()
      }
    }
    // The thread kept the device for as long as it ran.
    device = nil
    #expect(watched == nil)
  }
}
