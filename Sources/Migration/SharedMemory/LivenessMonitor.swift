import KVCore
import Platform
import Synchronization

/// Tells peers on the node of this process's death, and this process of theirs.
///
/// One thread holds this process's liveness words and waits for those of the peers. A peer that
/// writes or wakes what it should not costs its own link this signal, and the control connection's
/// end is then the only one.
final class LivenessMonitor: Sendable {
  private let service: Service
  private let thread: PlatformThread

  /// Throws `resourceExhausted` if the system gives no more memory, descriptors or threads.
  init() throws(BatonError) {
    let service = Service(words: try LivenessWords())
    self.service = service
    thread = try PlatformThread.start(name: "baton-liveness") { service.run() }
    while service.started.value == 0 { _ = service.started.wait(while: 0) }
  }

  /// Gives a link one of our words, and a listener for its peer's death. `onDeath` is called on
  /// the monitor's thread, at most once, and must not block.
  func add(_ link: LinkID, onDeath: @escaping @Sendable () -> Void) {
    service.state.withLock { state in
      let word = state.isHeld ? state.freeWords.popLast() : nil
      state.links[link] = Service.Watch(ownWord: word, onDeath: onDeath)
    }
  }

  /// What the peer of a link is given to wait for; nil where we have nothing for it.
  func own(of link: LinkID) -> (file: SharedMemoryFile, word: UInt8)? {
    let word = service.state.withLock { $0.links[link]?.ownWord }
    return word.map { (service.words.file, $0) }
  }

  /// Waits from now on for the word of a link's peer. A link that has ended is left alone, and so
  /// is one more than one thread can wait for: its socket alone tells of its peer's end.
  func watch(_ link: LinkID, peer: PeerLivenessWord) {
    service.change { links in
      guard links.values.count(where: { $0.peer != nil }) < WakeWord.maximumPeers else { return }
      links[link]?.peer = peer
    }
  }

  /// Whether the link's peer gave a word to wait for, and it is waited for.
  func isWatching(_ link: LinkID) -> Bool {
    service.state.withLock { $0.canWait && $0.links[link]?.peer != nil }
  }

  /// Whether the word of a link's peer says that its process has ended, told already or not.
  func hasEnded(_ link: LinkID) -> Bool {
    service.state.withLock { state in
      guard let watch = state.links[link] else { return false }
      return watch.isTold || watch.peer?.isLost ?? false
    }
  }

  /// No longer waits for the word of a link's peer.
  func unwatch(_ link: LinkID) { service.change { $0[link]?.peer = nil } }

  /// Ends what `add` began.
  func remove(_ link: LinkID) {
    let watch = service.state.withLock { state in
      let watch = state.links.removeValue(forKey: link)
      if let word = watch?.ownWord { state.freeWords.append(word) }
      return watch
    }
    if watch?.peer != nil { service.changed.advance() }
  }

  /// To peers this process is dead from now on. Waits for the thread.
  func close() {
    service.state.withLock { $0.isStopping = true }
    service.changed.advance()
    thread.join()
  }

  deinit { close() }
}

/// What the monitor's thread works on.
private final class Service: Sendable {
  struct Watch: Sendable {
    let ownWord: UInt8?
    let onDeath: @Sendable () -> Void
    var peer: PeerLivenessWord?
    var isTold = false
    /// Wake-ups for a word that had not changed: nobody but a peer that plays makes many.
    var idleWakes = 0
  }

  struct State: Sendable {
    var links: [LinkID: Watch] = [:]
    var freeWords = (0..<UInt8(LivenessWords.count)).reversed() as [UInt8]
    var isHeld = false
    var canWait = true
    var isStopping = false
  }

  let words: LivenessWords
  /// Moves on when the thread holds the words, or cannot.
  let started = WakeWord()
  /// Moves on with every change of `state` that the thread must see.
  let changed = WakeWord()
  let state = Mutex(State())

  init(words: LivenessWords) { self.words = words }

  func change(_ body: (inout [LinkID: Watch]) -> Void) {
    state.withLock { body(&$0.links) }
    changed.advance()
  }

  func run() {
    let isHeld = (try? words.hold()) != nil
    state.withLock { $0.isHeld = isHeld }
    started.advance()
    while step() {}
    if isHeld { words.letGo() }
  }

  /// Waits once; false when the thread is to end.
  private func step() -> Bool {
    // Read before the state, so that no change after it is slept through.
    let seen = changed.value
    let watched: [(link: LinkID, peer: PeerLivenessWord)]? = state.withLock { state in
      if state.isStopping { return nil }
      guard state.canWait else { return [] }
      return state.links.compactMap { link, watch in watch.peer.map { (link, $0) } }
    }
    guard let watched else { return false }
    let waiting = watched.prefix(WakeWord.maximumPeers)
    switch changed.wait(while: seen, and: waiting.map(\.peer)) {
    case .look: break
    case .woken(let place): noteWake(of: waiting[place].link, waiting[place].peer)
    case .unsupported: state.withLock { $0.canWait = false }
    }
    for (link, peer) in watched where peer.isLost { tell(link, peer) }
    return true
  }

  private func tell(_ link: LinkID, _ peer: PeerLivenessWord) {
    let onDeath: (@Sendable () -> Void)? = state.withLock { state in
      guard let watch = state.links[link], watch.peer === peer else { return nil }
      state.links[link]?.peer = nil
      state.links[link]?.isTold = true
      return watch.onDeath
    }
    onDeath?()
  }

  private func noteWake(of link: LinkID, _ peer: PeerLivenessWord) {
    guard !peer.isLost else { return }
    state.withLock { state in
      guard var watch = state.links[link], watch.peer === peer else { return }
      watch.idleWakes += 1
      if watch.idleWakes > MigrationLimits.maximumIdleWakes { watch.peer = nil }
      state.links[link] = watch
    }
  }
}
