import CVerbs
package import KVCore
package import Platform

extension DeviceContext {
  /// Waits until the device reports something, and acknowledges it. Blocks; for one thread at a
  /// time.
  ///
  /// Returns nil once `wake` is set. Throws `deviceError` when the device can report nothing any
  /// more, for example because it was taken away.
  package func nextEvent(wake: borrowing EventSignal) throws(BatonError) -> DeviceEvent? {
    var event = cverbs_event()
    let result = unsafe cverbs_next_event(context, wake.descriptor.rawValue, &event)
    try check(result, "ibv_get_async_event", name)
    return result == 1 ? DeviceEvent(type: event.type, subject: event.subject) : nil
  }
}

/// Hears what devices report beside completions, on a thread for each of them.
package final class DeviceEvents: Sendable {
  /// A class, because the threads keep it, and they must not keep `DeviceEvents`.
  private final class Wake: Sendable {
    let signal: EventSignal

    init() throws(BatonError) { signal = try EventSignal() }
  }

  private let wake: Wake
  private let threads: [PlatformThread]

  /// Listens until `close`, or until nobody keeps the value.
  ///
  /// - Parameter handler: called on the device's thread for each event in turn; `deviceFailed` is
  ///   the last of a device, and also told of one that can report nothing any more. It must not
  ///   call `close`.
  ///
  /// Throws `resourceExhausted` if the system gives no more threads or descriptors.
  package init(
    of devices: [DeviceContext],
    handler: @escaping @Sendable (DeviceContext, DeviceEvent) -> Void
  ) throws(BatonError) {
    let wake = try Wake()
    var threads: [PlatformThread] = []
    for device in devices {
      do throws(BatonError) {
        threads.append(
          try PlatformThread.start(name: "rdma-events") {
            Self.listen(to: device, wake: wake, handler)
          })
      } catch {
        Self.end(threads, wake)
        throw error
      }
    }
    self.wake = wake
    self.threads = threads
  }

  /// Ends the threads: when it returns, the handler is not called any more.
  package func close() { Self.end(threads, wake) }

  deinit { Self.end(threads, wake) }

  private static func end(_ threads: [PlatformThread], _ wake: Wake) {
    wake.signal.set()
    for thread in threads { thread.join() }
  }

  private static func listen(
    to device: DeviceContext, wake: Wake, _ handler: (DeviceContext, DeviceEvent) -> Void
  ) {
    while true {
      do throws(BatonError) {
        guard let event = try device.nextEvent(wake: wake.signal) else { return }
        handler(device, event)
        if event == .deviceFailed { return }
      } catch {
        return handler(device, .deviceFailed)
      }
    }
  }
}
