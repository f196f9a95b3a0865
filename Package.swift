// swift-tools-version: 6.2
import PackageDescription

/// What every Swift target is built with: Swift 6 concurrency, explicit unsafety, no warning left.
///
/// The release inlines across rooms, and leaves out the checks for overlapping access: 81,000 instructions a request
/// become 57,000. Tests, fuzzers and sanitizers run with these checks.
let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .unsafeFlags(["-enforce-exclusivity=unchecked", "-cross-module-optimization"], .when(configuration: .release)),
]

/// The release's relocations take 26 KB instead of 900 KB of resident memory (from glibc 2.36 on), and its table of names
/// for other objects, which nobody asks, 15 KB instead of 220 KB. Of the C++ library, Swift's runtime needs so little
/// that a shared one takes 0.8 MB more: `deploy/link` has the static one linked in.
let lean: [LinkerSetting] = [
  .unsafeFlags(
    [
      "-L\(Context.packageDirectory)/deploy/link", "-use-ld=lld", "-Xlinker", "-z", "-Xlinker", "pack-relative-relocs",
      "-Xlinker", "--no-export-dynamic",
    ],
    .when(configuration: .release))
]

/// One room of the gateway: a target and what it may use. Arrows point one way only.
func room(_ name: String, uses: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: uses, swiftSettings: strict)
}

func tests(of name: String, uses: [Target.Dependency] = [], resources: [Resource] = []) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: [.target(name: name)] + uses, resources: resources, swiftSettings: strict)
}

let package = Package(
  name: "blnk-gateway",
  products: [.executable(name: "blnk-gateway", targets: ["blnk-gateway"])],
  targets: [
    .target(name: "CLinux"),
    .target(name: "CLibcurl", linkerSettings: [.linkedLibrary("curl")]),
    room("Counters"),
    room("HTTP1"),
    room("Dates"),
    room("Digests"),
    room("Policies", uses: ["Dates", "Digests", "HTTP1"]),
    room("Reactor", uses: ["CLinux"]),
    room("Telemetry", uses: ["Counters", "Dates", "Digests", "Reactor"]),
    room("Upstream", uses: ["CLibcurl", "Counters", "HTTP1", "Reactor"]),
    room("Background", uses: ["CLibcurl"]),
    room(
      "Gateway",
      uses: [
        "Background", "Counters", "Dates", "Digests", "HTTP1", "Policies", "Reactor", "SmallServer", "Telemetry",
        "Upstream",
      ]),
    room("SmallServer", uses: ["HTTP1", "Reactor"]),
    room("SandboxCore", uses: ["Dates", "HTTP1", "Reactor", "SmallServer"]),
    .executableTarget(
      name: "blnk-gateway",
      dependencies: ["Digests", "Gateway", "HTTP1", "Policies", "Reactor", "SandboxCore", "Telemetry"],
      swiftSettings: strict,
      linkerSettings: lean),
    .target(name: "TestFolders", path: "Tests/TestFolders", swiftSettings: strict),
    .target(
      name: "TestSupport", dependencies: ["Digests", "Gateway", "Policies", "Reactor", "Telemetry", "TestFolders"],
      path: "Tests/TestSupport",
      swiftSettings: strict),
    .testTarget(
      name: "CallersTests", dependencies: ["Reactor", "SandboxCore", "TestSupport"], resources: [.copy("Fixtures")],
      swiftSettings: strict),
    .testTarget(
      name: "CommandTests", dependencies: ["blnk-gateway", "Policies", "Telemetry", "TestFolders"],
      swiftSettings: strict),
    tests(of: "Dates"),
    tests(of: "Digests"),
    tests(of: "Counters"),
    tests(of: "HTTP1"),
    tests(of: "SmallServer", uses: ["HTTP1", "Reactor", "TestSupport"]),
    .testTarget(
      name: "EdgeSlowTests", dependencies: ["Reactor", "TestSupport", "blnk-gateway"], swiftSettings: strict),
    .testTarget(name: "EdgeTests", dependencies: ["TestSupport", "blnk-gateway"], swiftSettings: strict),
    .testTarget(
      name: "EndToEndTests", dependencies: ["LoopSupport", "TestFolders", "TestSupport", "blnk-gateway"],
      swiftSettings: strict),
    tests(
      of: "Gateway",
      uses: [
        "Counters", "Digests", "HTTP1", "Policies", "Reactor", "Telemetry", "TestFolders", "TestSupport",
        "Upstream",
      ]),
    tests(of: "Policies", uses: ["Digests", "HTTP1", "TestFolders"], resources: [.copy("Fixtures")]),
    .target(
      name: "LoopSupport", dependencies: ["Reactor", "TestFolders"], path: "Tests/LoopSupport", swiftSettings: strict),
    tests(of: "Reactor", uses: ["CLinux", "LoopSupport", "TestFolders"]),
    tests(of: "SandboxCore", uses: ["Reactor"], resources: [.copy("Fixtures")]),
    tests(of: "Upstream", uses: ["CLibcurl", "Counters", "LoopSupport", "Reactor", "TestSupport"]),
    .testTarget(
      name: "SimulationTests",
      dependencies: ["Gateway", "Policies", "Reactor", "Telemetry", "TestSupport", "Upstream"],
      swiftSettings: strict),
    tests(of: "Telemetry", uses: ["Counters", "Digests", "LoopSupport", "Reactor", "TestFolders"]),
  ],
  swiftLanguageModes: [.v6]
)
