import BatonRuntime
import ControlProtocol
import ControlTransport
import DecodeService
import Foundation
import KVCore
import Logging
import NIOPosix
import Platform
import PrefillService
import ProxyService
import ServiceLifecycle

/// Makes the services of each role from what was configured.
enum ServiceFactory {
  /// The services of a prefill, decode or hybrid engine, in the order in which they start.
  static func services(
    of engine: EngineConfiguration, logger: Logger
  ) async throws -> [any Service] {
    switch engine.role {
    case .prefill:
      [PrefillEngineService(configuration: engine, logger: logger)]
    case .decode, .hybrid:
      [DecodeEngineService(configuration: engine, logger: logger)]
    case .proxy, .client:
      preconditionFailure("\(engine.role) is no engine's role")
    }
  }

  /// The services of the proxy, in the order in which they start.
  static func services(
    of proxy: ProxyConfiguration, logger: Logger
  ) async throws -> [any Service] {
    let engines = try [
      (Role.prefill, proxy.prefill), (.decode, proxy.decode), (.hybrid, proxy.hybrid),
    ].flatMap { role, addresses in
      try addresses.map { (address: try ControlAddress($0), role: role) }
    }
    let identity = LocalIdentity(
      engine: proxy.name, incarnation: .random(), role: .proxy,
      info: PeerInfo(
        model: nil, bootID: Node.bootID(),
        processID: UInt32(ProcessInfo.processInfo.processIdentifier),
        addresses: [], ranks: 1),
      options: try proxy.control.options())
    let fleet = Fleet(
      engines: engines, identity: identity, servedModelName: proxy.servedModelName,
      requestTimeout: .seconds(proxy.requestTimeoutSeconds),
      logger: logger)
    let edge = EdgeServer(
      backend: FleetBackend(fleet: fleet, logger: logger), host: proxy.host, port: proxy.port,
      maximumConcurrent: proxy.maxConcurrent, metrics: BatonMetrics(),
      eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: logger)
    let control = try proxy.controlAddresses.map { text in
      let address = try ControlAddress(text)
      try address.requireLocal(unless: identity.options.keys)
      return address
    }
    guard !control.isEmpty else { return [fleet, edge] }
    return [
      fleet,
      ControlService(
        addresses: control, identity: identity, handler: edge.controlHandler,
        group: MultiThreadedEventLoopGroup.singleton, logger: logger),
      edge,
    ]
  }
}
