/// The version that `baton --version` prints.
package enum BatonVersion {
  package static let current = "0.1.0"
}
