import CKernels
import Glibc
import KVCore

/// The threads that an engine computes with, parked while there is nothing to do.
@safe struct KernelTeam: ~Copyable {
  /// For the kernels; one thread at a time may call them with it.
  let handle: OpaquePointer

  /// Starts `threads - 1` threads beside the caller's.
  ///
  /// Throws `BatonError`: `invalidArgument` for a count out of range or an instruction set that the
  /// CPU lacks, `resourceExhausted` with errno's text when no thread can be started.
  init(threads: Int, instructionSet: InstructionSet) throws(BatonError) {
    let most = Int(CK_MAXIMUM_THREADS)
    guard (1...most).contains(threads) else {
      throw BatonError(.invalidArgument, "threads is \(threads); allowed: 1 to \(most)")
    }
    guard instructionSet.isAvailable else {
      throw BatonError(.invalidArgument, "this CPU cannot run the \(instructionSet) kernels")
    }
    guard let handle = unsafe ck_team_create(instructionSet.path, UInt32(threads)) else {
      let reason = unsafe String(cString: strerror(errno))
      throw BatonError(.resourceExhausted, "cannot start \(threads) threads: \(reason)")
    }
    unsafe self.handle = handle
  }

  deinit { unsafe ck_team_destroy(handle) }
}
