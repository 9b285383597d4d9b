import Glibc
import Platform

/// Whether ftruncate(2) accepts `length`.
func truncate(_ descriptor: borrowing FileDescriptor, to length: Int) -> Bool {
  ftruncate(descriptor.rawValue, length) == 0
}
