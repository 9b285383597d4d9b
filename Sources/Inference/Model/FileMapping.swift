import Glibc
import KVCore

/// A file of a model, mapped read-only for as long as this object lives.
///
/// The file must not shrink meanwhile: touching a page past its end is a SIGBUS (mmap(2)).
@safe final class FileMapping: @unchecked Sendable {
  // SAFETY: the mapping is read-only and both properties are constant until `deinit`.

  /// The file's path, for messages.
  let path: String
  /// The file's bytes; empty, and mapped nowhere, when the file is.
  let bytes: UnsafeRawBufferPointer

  /// Opens and maps `path` (open(2), fstat(2), mmap(2)).
  ///
  /// Throws `BatonError` with `invalidArgument` and errno's text when the file cannot be read or is
  /// no regular file.
  init(path: String) throws(BatonError) {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Self.failure("cannot open", path) }
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else {
      throw Self.failure("cannot read the size of", path)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw BatonError(.invalidArgument, "\(path) is not a regular file")
    }
    let count = Int(status.st_size)
    self.path = path
    if count == 0 {
      unsafe bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    let address = unsafe mmap(nil, count, PROT_READ, MAP_SHARED, descriptor, 0)
    guard unsafe address != MAP_FAILED else { throw Self.failure("cannot map", path) }
    unsafe bytes = UnsafeRawBufferPointer(start: address, count: count)
  }

  deinit {
    if let start = unsafe bytes.baseAddress {
      unsafe munmap(UnsafeMutableRawPointer(mutating: start), bytes.count)
    }
  }

  var byteCount: Int { unsafe bytes.count }

  /// A copy of the whole file.
  var contents: [UInt8] { unsafe [UInt8](bytes) }

  private static func failure(_ action: String, _ path: String) -> BatonError {
    let reason = unsafe String(cString: strerror(errno))
    return BatonError(.invalidArgument, "\(action) \(path): \(reason)")
  }
}
