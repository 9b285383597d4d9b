// swift-tools-version: 6.2

import PackageDescription

/// The settings that every Swift target of Baton is built with.
let strictSettings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),  // SE-0335
  .enableUpcomingFeature("InternalImportsByDefault"),  // SE-0409
  .enableUpcomingFeature("MemberImportVisibility"),  // SE-0444
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),  // SE-0461
  .strictMemorySafety(),  // SE-0458
  .treatAllWarnings(as: .error),  // SE-0480
]

/// Kernels are optimised in every configuration; contraction of a*b+c is written out as fma
/// where it is wanted, so that every instruction set gives the same bits.
let kernelSettings: [CSetting] = [
  .unsafeFlags(["-O3", "-ffp-contract=off", "-fno-math-errno", "-Wall", "-Wextra", "-Werror"])
]

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioHTTPTypes: Target.Dependency = .product(name: "NIOHTTPTypes", package: "swift-nio-extras")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let hummingbird: Target.Dependency = .product(name: "HummingbirdCore", package: "hummingbird")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
let configuration: Target.Dependency = .product(
  name: "Configuration", package: "swift-configuration")
let serviceLifecycle: Target.Dependency = .product(
  name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals: Target.Dependency = .product(
  name: "UnixSignals", package: "swift-service-lifecycle")
let subprocess: Target.Dependency = .product(name: "Subprocess", package: "swift-subprocess")
let systemPackage: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")
let argumentParser: Target.Dependency = .product(
  name: "ArgumentParser", package: "swift-argument-parser")

func library(
  _ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource]? = nil
) -> Target {
  .target(
    name: name, dependencies: dependencies, resources: resources, swiftSettings: strictSettings)
}

func tests(
  _ name: String, _ dependencies: [Target.Dependency], resources: [Resource]? = nil
) -> Target {
  .testTarget(
    name: name, dependencies: dependencies, resources: resources, swiftSettings: strictSettings)
}

let package = Package(
  name: "baton",
  products: [.executable(name: "baton", targets: ["baton"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.0"),
    .package(url: "https://github.com/apple/swift-system", from: "1.5.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0"),
  ],
  targets: [
    // C: shims, generated code, kernels.
    .target(name: "CLinux", cSettings: [.define("_GNU_SOURCE")]),
    .target(
      name: "CBatonWire",
      linkerSettings: [.linkedLibrary("protobuf-c")]),
    .target(name: "CZstd", linkerSettings: [.linkedLibrary("zstd")]),
    .target(name: "CKernels", cSettings: kernelSettings),
    .target(name: "CVerbs", linkerSettings: [.linkedLibrary("ibverbs")]),

    // The data plane.
    library("KVCore"),
    library("Platform", ["KVCore", "CLinux"]),
    library("KVPool", ["KVCore", "Platform", "CLinux", "CKernels"]),
    library("Verbs", ["KVCore", "CVerbs", "Platform"]),
    library("Migration", ["KVCore", "KVPool", "Platform", "ControlProtocol", "CKernels", "Verbs"]),

    // The control plane.
    library("ControlProtocol", ["KVCore", crypto]),
    library("ControlWire", ["KVCore", "ControlProtocol", "CBatonWire", "CZstd"]),
    library(
      "ControlTransport",
      ["KVCore", "ControlProtocol", "ControlWire", nioCore, nioPosix, systemPackage, logging]),

    // Models.
    library("Tokenizer"),
    library(
      "Inference", ["KVCore", "CKernels", crypto],
      resources: [.copy("Resources/DefaultModel")]),

    // Services.
    library(
      "BatonRuntime",
      [
        "KVCore", "ControlProtocol", "ControlTransport", configuration, logging, nioCore,
        serviceLifecycle, unixSignals,
      ]),
    library(
      "EngineHost",
      [
        "KVCore", "Platform", "KVPool", "Migration", "ControlProtocol", "ControlTransport",
        "Inference", "Tokenizer", "BatonRuntime", crypto, nioPosix, logging, serviceLifecycle,
      ]),
    library(
      "PrefillService",
      [
        "KVCore", "KVPool", "Migration", "ControlProtocol", "ControlTransport", "Inference",
        "BatonRuntime", "EngineHost", "Platform", logging, serviceLifecycle,
      ]),
    library(
      "DecodeService",
      [
        "KVCore", "KVPool", "Migration", "ControlProtocol", "ControlTransport", "Inference",
        "BatonRuntime", "EngineHost", "Platform", nioPosix, logging, serviceLifecycle,
      ]),
    library(
      "ProxyService",
      [
        "KVCore", "ControlProtocol", "ControlTransport", "Tokenizer", "BatonRuntime", crypto,
        hummingbird, httpTypes, nioCore, nioHTTPTypes, nioPosix, logging, serviceLifecycle,
      ]),
    library(
      "Benchmarks",
      [
        "KVCore", "Platform", "KVPool", "Migration", "ControlProtocol", "ControlWire",
        "ControlTransport", "Verbs", logging, nioCore, nioPosix, subprocess, systemPackage,
      ]),
    .executableTarget(
      name: "baton",
      dependencies: [
        "KVCore", "Platform", "Migration", "Benchmarks", "ControlProtocol", "ControlWire",
        "ControlTransport", "BatonRuntime",
        "PrefillService",
        "DecodeService", "ProxyService", argumentParser, logging,
        nioCore, nioPosix, serviceLifecycle, subprocess, systemPackage,
      ],
      swiftSettings: strictSettings),

    // Tests.
    .target(
      name: "TestSupport", dependencies: ["KVCore", "ControlProtocol", "ControlWire"],
      path: "Tests/TestSupport", swiftSettings: strictSettings),
    .target(name: "CXXHash", path: "Tests/CXXHash"),
    tests("KVCoreTests", ["KVCore"]),
    tests("PlatformTests", ["KVCore", "Platform"]),
    tests("VerbsTests", ["TestSupport", "KVCore", "Verbs"]),
    tests("KVPoolTests", ["TestSupport", "CXXHash", "KVCore", "KVPool", "Platform"]),
    tests(
      "MigrationTests",
      [
        "TestSupport", "CXXHash", "KVCore", "KVPool", "Migration", "Platform", "ControlProtocol",
        "Verbs",
      ]),
    tests("ControlProtocolTests", ["TestSupport", "KVCore", "ControlProtocol", "ControlWire"]),
    tests("ControlWireTests", ["TestSupport", "KVCore", "ControlProtocol", "ControlWire"]),
    tests(
      "ControlTransportTests",
      [
        "TestSupport", "KVCore", "ControlProtocol", "ControlWire", "ControlTransport", nioCore,
        nioPosix, logging,
      ]),
    tests("TokenizerTests", ["TestSupport", "Tokenizer"], resources: [.copy("Fixtures")]),
    tests(
      "InferenceTests", ["TestSupport", "KVCore", "CKernels", "CXXHash", "Inference"],
      resources: [.copy("Fixtures")]),
    tests(
      "BatonRuntimeTests",
      ["KVCore", "ControlProtocol", "ControlTransport", "BatonRuntime", logging]),
    tests(
      "ProxyServiceTests",
      [
        "TestSupport", "KVCore", "ControlProtocol", "ControlTransport", "BatonRuntime",
        "ProxyService",
        "Tokenizer", crypto, nioCore, nioPosix, logging, serviceLifecycle,
      ]),
    tests("BenchmarksTests", ["KVCore", "Benchmarks"]),
    tests("CommandLineTests", ["baton", "BatonRuntime", argumentParser]),
    tests(
      "PrefillServiceTests", ["TestSupport", "KVCore", "KVPool", "Inference", "PrefillService"]),
    tests("EngineHostTests", ["KVCore", "KVPool", "EngineHost"]),
    tests(
      "DecodeServiceTests",
      [
        "KVCore", "KVPool", "Migration", "ControlProtocol", "ControlTransport", "Inference",
        "BatonRuntime", "DecodeService", nioPosix, logging, serviceLifecycle,
      ]),
    tests("TidyTests", []),
    // A second process that the system tests start and drive.
    .target(
      name: "CPoolAttacks", path: "Tests/CPoolAttacks", cSettings: [.define("_GNU_SOURCE")]),
    .executableTarget(
      name: "PoolPeer",
      dependencies: [
        "TestSupport", "KVCore", "KVPool", "Migration", "Platform", "ControlProtocol",
        "CPoolAttacks",
      ],
      path: "Tests/PoolPeer", swiftSettings: strictSettings),
    .testTarget(
      name: "SystemTests",
      dependencies: [
        "TestSupport", "KVCore", "ControlProtocol", "ControlWire", "ControlTransport", nioPosix,
        logging,
      ],
      exclude: ["openai_client.py"], swiftSettings: strictSettings),
  ]
)
