import ControlProtocol
import ControlTransport
import EngineHost
import KVCore
import Migration

/// What this decode engine and one start of one prefill engine have set up to migrate.
struct Link: Sendable {
  let id: LinkID
  let connection: ControlConnection
  /// Copies and borrows blocks of the engine's pool.
  let pool: PoolMigration
  /// Where it copies.
  let copier: WorkerThread

  var engine: EngineID { connection.remote.engine }
  var incarnation: Incarnation { connection.remote.incarnation }
  /// False from the moment that the control connection is lost.
  var isAlive: Bool { connection.isOpen }
}
