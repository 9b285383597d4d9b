package import ControlProtocol
package import ControlTransport
package import KVCore

extension EngineHost {
  /// Throws `BatonError` with `incompatible` and both values unless the other end runs the same
  /// model with the same KV geometry. Returns what it said of its model.
  @discardableResult
  package func requireSameModel(
    as connection: ControlConnection
  ) throws(BatonError) -> ModelSummary {
    let peer = connection.remote.engine
    guard let theirs = connection.remoteInfo.model else {
      throw BatonError(.incompatible, "engine \(peer) serves no model")
    }
    let ours = summary
    guard theirs.fingerprint == ours.fingerprint else {
      throw BatonError(
        .incompatible,
        "engine \(peer) runs model \(theirs.name) (\(theirs.shortFingerprint)), engine \(id) runs "
          + "\(ours.name) (\(ours.shortFingerprint))")
    }
    guard theirs.geometry == ours.geometry else {
      throw BatonError(
        .incompatible,
        "engine \(peer) has KV geometry \(theirs.geometry); engine \(id) has \(ours.geometry)")
    }
    return theirs
  }
}

extension ControlConnection {
  /// What a link's transport calls when it learns that the process at the other end has died: the
  /// connection, and with it the link, ends at once.
  package var abandonForDeath: @Sendable () -> Void {
    {
      self.abandon(
        because: BatonError(
          .peerGone, "the process of \(self.remote.engine) has ended, as its liveness word tells"))
    }
  }
}
