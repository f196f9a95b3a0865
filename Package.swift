// swift-tools-version: 6.2
import PackageDescription

/// What every Swift target is built with: Swift 6 concurrency, explicit unsafety, no warning left.
///
/// The release inlines across modules, and leaves out the checks for overlapping access: 81,000 instructions per
/// request become 57,000. Tests, fuzzers and sanitizers run with these checks.
let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .unsafeFlags(
    ["-enforce-exclusivity=unchecked", "-cross-module-optimization", "-Xfrontend", "-function-sections"],
    .when(configuration: .release)),
]

/// The release's relocations take 26 KB instead of 900 KB of resident memory (from glibc 2.36 on), and its table of names
/// for other objects, which no other object uses, 15 KB instead of 220 KB. Of the C++ library, Swift's runtime needs so little
/// that a shared one takes 0.8 MB more: `deploy/link` has the static one linked in. All symbols are bound at the start, so
/// that the table of their addresses is read-only.
///
/// Functions with the same code are one, which saves 310 KB. Swift compares no addresses of functions. Of Swift's C++ runtime,
/// mostly value witnesses are folded, which are called and not compared; of libdispatch, whose C files are one section each,
/// nothing is.
///
/// The unwind tables and their index take 1.9 MB, and in the process only C++ exceptions use them: none is thrown, and one
/// would end the process with them as well. Debuggers, which `serve` does not admit anyway, follow the frame pointers.
let lean: [LinkerSetting] = [
  .unsafeFlags(
    [
      "-L\(Context.packageDirectory)/deploy/link", "-use-ld=lld", "-Xlinker", "-z", "-Xlinker", "pack-relative-relocs",
      "-Xlinker", "--no-export-dynamic", "-Xlinker", "-z", "-Xlinker", "now", "-Xlinker", "-O2",
      "-Xlinker", "--icf=all", "-Xlinker", "--no-eh-frame-hdr",
      "-Xlinker", "-T", "-Xlinker", "\(Context.packageDirectory)/deploy/link/no-unwind-tables.ld",
    ],
    .when(configuration: .release))
]

/// DWARF 4, as Swift writes it: Debian 12's valgrind stops at the DWARF 5 of clang.
let readableDebugInfo: [CSetting] = [.unsafeFlags(["-fdebug-default-version=4"])]

/// For code off the loops, and for modules in which few functions run for each request: small instead of fast, because the
/// release program must not exceed 16,000,000 bytes. Those few are marked `@_optimize(speed)`, or inlined into such ones:
/// without it, they take 5,400 instructions more per request. A closure in them is built for size, unless it is inlined.
let small = strict + [.unsafeFlags(["-Osize"], .when(configuration: .release))]

/// The compiler inlines the instructions for digests only into code that may use them. It uses them nowhere by itself, unlike
/// those of SSE4.2, which would have CRC32 as well.
#if arch(x86_64)
  let withInstructions = strict + [.unsafeFlags(["-Xcc", "-msha", "-Xcc", "-mcrc32"])]
#else
  let withInstructions = strict
#endif

/// One module of the gateway: a target and what it may use. Arrows point one way only.
func module(_ name: String, uses: [Target.Dependency] = [], settings: [SwiftSetting] = strict) -> Target {
  .target(name: name, dependencies: uses, swiftSettings: settings)
}

func tests(of name: String, uses: [Target.Dependency] = [], resources: [Resource] = []) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: [.target(name: name)] + uses, resources: resources, swiftSettings: strict)
}

let package = Package(
  name: "blnk-gateway",
  products: [.executable(name: "blnk-gateway", targets: ["blnk-gateway"])],
  targets: [
    .target(name: "CBuild", cSettings: readableDebugInfo),
    .target(name: "CLinux", cSettings: readableDebugInfo),
    .target(name: "CProcessor", cSettings: readableDebugInfo),
    .target(name: "CLibcurl", cSettings: readableDebugInfo, linkerSettings: [.linkedLibrary("curl")]),
    module("Bytes"),
    module("Counters"),
    module("HTTP1", uses: ["Bytes"]),
    module("Dates"),
    module("Digests", uses: ["Bytes", "CProcessor"], settings: withInstructions),
    module("OAuth", uses: ["Digests"]),
    module("Policies", uses: ["Bytes", "Dates", "Digests", "HTTP1", "OAuth", "System"], settings: small),
    module("Fronts", uses: ["Digests", "HTTP1", "Policies"]),
    module("Reactor", uses: ["Bytes", "CLinux", "System"]),
    module("System", uses: ["CBuild", "CLinux"], settings: small),
    module("Telemetry", uses: ["Bytes", "Counters", "Dates", "System"]),
    module("Audit", uses: ["Bytes", "Dates", "Digests", "System", "Telemetry"], settings: small),
    module("Journal", uses: ["Bytes", "Dates", "Digests", "System"], settings: small),
    module("Upstream", uses: ["Bytes", "CLibcurl", "Counters", "HTTP1", "Reactor", "System"]),
    module("Background", uses: ["CLibcurl"], settings: small),
    module(
      "Gateway",
      uses: [
        "Audit", "Background", "Bytes", "Counters", "Dates", "Digests", "Fronts", "HTTP1", "Journal", "OAuth",
        "Policies", "Reactor", "SmallServer", "System", "Telemetry", "Upstream",
      ], settings: small),
    module("SmallServer", uses: ["Bytes", "HTTP1", "Reactor", "System"], settings: small),
    module("SandboxCore", uses: ["Bytes", "Dates", "HTTP1", "Reactor", "SmallServer", "System"], settings: small),
    .executableTarget(
      name: "blnk-gateway",
      dependencies: [
        "Audit", "Bytes", "Digests", "Gateway", "HTTP1", "OAuth", "Policies", "Reactor", "SandboxCore", "System",
        "Telemetry",
      ],
      swiftSettings: small,
      linkerSettings: lean),
    .target(name: "TestValues", dependencies: ["Bytes"], path: "Tests/TestValues", swiftSettings: strict),
    .target(name: "TestFolders", path: "Tests/TestFolders", swiftSettings: strict),
    .target(
      name: "TestSupport",
      dependencies: ["Audit", "Digests", "Gateway", "Policies", "System", "TestFolders"],
      path: "Tests/TestSupport",
      swiftSettings: strict),
    .testTarget(
      name: "CallersTests", dependencies: ["Reactor", "SandboxCore", "TestFolders", "TestSupport"],
      resources: [.copy("Fixtures")],
      swiftSettings: strict),
    .testTarget(
      name: "CommandTests",
      dependencies: [
        "Audit", "blnk-gateway", "Bytes", "Digests", "Policies", "System", "Telemetry", "TestFolders", "TestSupport",
        "TestValues",
      ],
      swiftSettings: strict),
    tests(of: "Background", uses: ["TestSupport"]),
    tests(of: "Dates"),
    tests(of: "Digests"),
    tests(of: "Bytes", uses: ["TestValues"]),
    tests(of: "Counters"),
    tests(of: "Fronts", uses: ["Digests", "HTTP1", "Policies", "TestValues"], resources: [.copy("Fixtures")]),
    tests(of: "HTTP1", uses: ["Bytes", "TestValues"]),
    tests(of: "SmallServer", uses: ["Bytes", "HTTP1", "Reactor", "TestSupport"]),
    .testTarget(
      name: "EdgeSlowTests", dependencies: ["System", "TestSupport", "blnk-gateway"], swiftSettings: strict),
    .testTarget(name: "EdgeTests", dependencies: ["TestSupport", "blnk-gateway"], swiftSettings: strict),
    .testTarget(
      name: "EndToEndTests",
      dependencies: [
        "Digests", "Gateway", "LoopSupport", "Policies", "Reactor", "SandboxCore", "TestFolders", "TestSupport",
        "TestValues", "blnk-gateway",
      ],
      swiftSettings: strict),
    tests(
      of: "Gateway",
      uses: [
        "Audit", "Bytes", "Counters", "Digests", "HTTP1", "LoopSupport", "Policies", "Reactor", "System", "Telemetry",
        "TestFolders", "TestSupport", "TestValues", "Upstream",
      ]),
    tests(of: "OAuth", uses: ["Digests", "TestValues"]),
    tests(
      of: "Policies", uses: ["Bytes", "Digests", "HTTP1", "TestFolders", "TestValues"], resources: [.copy("Fixtures")]),
    .target(
      name: "LoopSupport", dependencies: ["Bytes", "Reactor", "System", "TestFolders", "TestValues"],
      path: "Tests/LoopSupport", swiftSettings: strict),
    tests(of: "Reactor", uses: ["Bytes", "CLinux", "LoopSupport", "System", "TestFolders", "TestValues"]),
    tests(of: "SandboxCore", uses: ["Bytes", "Reactor", "System", "TestSupport"], resources: [.copy("Fixtures")]),
    tests(
      of: "Upstream",
      uses: ["Bytes", "CLibcurl", "Counters", "LoopSupport", "Reactor", "System", "TestSupport", "TestValues"]),
    .testTarget(
      name: "SimulationTests",
      dependencies: [
        "Bytes", "Gateway", "Policies", "Reactor", "System", "Telemetry", "TestSupport", "TestValues", "Upstream",
      ],
      swiftSettings: strict),
    tests(of: "System", uses: ["CLinux", "TestFolders", "TestSupport"]),
    tests(of: "Telemetry", uses: ["Bytes", "Counters", "TestFolders", "TestSupport", "TestValues"]),
    tests(of: "Audit", uses: ["Bytes", "Digests", "System", "Telemetry", "TestFolders", "TestSupport", "TestValues"]),
    tests(of: "Journal", uses: ["Digests", "System", "TestFolders", "TestValues"]),
  ],
  swiftLanguageModes: [.v6]
)
