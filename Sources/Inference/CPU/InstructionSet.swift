import CKernels

/// The paths of the kernels; every one of them gives the same bits.
package enum InstructionSet: Sendable, CaseIterable {
  case portable
  case avx2
  case avx512

  /// Whether this CPU can run the path.
  package var isAvailable: Bool { ck_path_available(path) }

  /// The fastest path that this CPU can run.
  package static var fastest: InstructionSet {
    allCases.last(where: \.isAvailable) ?? .portable
  }

  var path: ck_path {
    switch self {
    case .portable: CK_PORTABLE
    case .avx2: CK_AVX2
    case .avx512: CK_AVX512
    }
  }
}
