import Glibc

/// The only owner of an open file descriptor: close(2) at the end of its life.
package struct FileDescriptor: ~Copyable, Sendable {
  package let rawValue: CInt

  /// Takes over `rawValue`, which nobody else may close from now on.
  package init(owning rawValue: CInt) {
    precondition(rawValue >= 0, "a file descriptor is not negative")
    self.rawValue = rawValue
  }

  // What close(2) reports concerns writes to a disk, and these are never files on one; after an
  // error, EINTR included, Linux has closed the descriptor all the same.
  deinit { _ = Glibc.close(rawValue) }
}
