import Audit
import Counters
import FoundationEssentials
import Glibc
import Journal
import Policies
import Reactor
import Synchronization
import System
import Telemetry

extension PrometheusText {
  /// Writes the metrics of the gateway as a whole.
  ///
  /// - Parameter tokens: of the policy in force.
  mutating func write(_ state: GatewayState, _ tokens: TokenSummary) {
    let buildInfo = "blnk_gateway_build_info"
    family(buildInfo, .gauge, "Version, commit, Swift version and loaded libcurl of this program; always 1.")
    sample(
      buildInfo,
      [
        ("version", Array(gatewayVersion.utf8)), ("commit", Array(Build.commit.utf8)),
        ("swift", Array(Build.swift.utf8)), ("libcurl", Array(Build.libcurlRunning.utf8)),
      ], value: 1)
    writeOwnTime(state)
    writeEndCodes(state)
    writeConnections(state)
    writePolicy(state.policyInForce)
    let revocations = "blnk_gateway_revocations"
    family(
      revocations, .gauge, "Revocations in force: clients, tokens of clients.json, and ids of other tokens and grants.")
    for (kind, count) in [
      ("client", tokens.revokedClients), ("token", tokens.revokedTokens),
      ("token_id", state.policyInForce.generation.policy.revokedIDCount), ("grant", state.revokedGrants()),
    ] {
      sample(revocations, [("kind", Array(kind.utf8))], value: count)
    }
    writeIntrospection(state)
    if let log = state.log {
      single(
        "blnk_gateway_access_log_lines_lost_total", .counter,
        "Access log lines lost because the reader or the disk did not keep up.", log.droppedLines)
    }
    if let journal = state.journal { write(journal.state) }
    if let audit = state.audit() { write(audit) }
    single(
      "blnk_gateway_draining", .gauge, "1 while the gateway shuts down.",
      state.isDraining.load(ordering: .relaxed) ? 1 : 0)
    write(ProcessReading(), startedAt: state.startedAt)
  }

  private mutating func write(_ journal: JournalState) {
    family("blnk_gateway_idempotency_keys", .gauge, "Idempotency keys in the journal, by state.")
    let others = max(0, journal.keys - journal.inFlight - journal.unknown)
    for (state, count) in [("in_flight", journal.inFlight), ("unknown", journal.unknown), ("settled", others)] {
      sample("blnk_gateway_idempotency_keys", [("state", Array(state.utf8))], value: count)
    }
    family(
      "blnk_gateway_idempotency_used_percent", .gauge,
      "How much of each limit of the journal is used; of keys_per_client_max, by the client that has most.")
    for (limit, percent) in [
      ("keys_max", journal.keysPercent), ("disk_bytes_max", journal.diskPercent),
      ("keys_per_client_max", journal.clientPercent),
    ] {
      sample("blnk_gateway_idempotency_used_percent", [("limit", Array(limit.utf8))], value: percent)
    }
    single("blnk_gateway_idempotency_disk_bytes", .gauge, "Bytes of the journal's files.", journal.diskBytes)
    single(
      "blnk_gateway_idempotency_failures_total", .counter,
      "Journal files abandoned after an error, and failed attempts to create one.", journal.failures)
    single(
      "blnk_gateway_idempotency_writable", .gauge,
      "0 while writes with a new idempotency key are rejected because the journal cannot be written.",
      journal.canWrite ? 1 : 0)
  }

  /// The hash of the head is not a label, because it changes with every entry; `/status` shows it.
  private mutating func write(_ audit: AuditState) {
    single(
      "blnk_gateway_audit_head_sequence", .gauge, "Sequence number of the last durable audit entry.",
      Int(clamping: audit.head?.sequence ?? 0))
    single("blnk_gateway_audit_entries_total", .counter, "Entries written to the audit log.", audit.entries)
    single(
      "blnk_gateway_audit_failures_total", .counter,
      "Audit log files abandoned after an error, and failed attempts to open a new one.", audit.failures)
    single(
      "blnk_gateway_audit_lost_outcomes_total", .counter, "Outcomes of audited writes that no audit log file contains.",
      audit.lostOutcomes)
    single("blnk_gateway_audit_queue", .gauge, "Audit entries waiting to be written.", audit.queueDepth)
    single(
      "blnk_gateway_audit_writable", .gauge, "0 while writes are rejected because the audit log cannot be written.",
      audit.canWrite ? 1 : 0)
  }

  private mutating func writeOwnTime(_ state: GatewayState) {
    let name = "blnk_gateway_own_duration_seconds"
    family(name, .histogram, "Time that the gateway itself spent on an exchange.")
    histogram(name, [], state.loops.reduce(into: HistogramReading()) { $0 += $1.metrics.ownTime.reading })
  }

  private mutating func writeEndCodes(_ state: GatewayState) {
    let name = "blnk_gateway_refusals_total"
    family(name, .counter, "Rejections and faults, by GATEWAY_ code.")
    let counts = state.loops.map(\.metrics.codes).reading
    for (code, count) in counts { sample(name, [("code", Array(code.text.utf8))], value: count) }
    let limits = "blnk_gateway_limits_hit_total"
    family(limits, .counter, "Requests and connections rejected because a limit was reached, by limit.")
    for (limit, code) in Self.codesOfLimits {
      sample(limits, [("limit", Array(limit.utf8))], value: counts.first { $0.code == code }?.count ?? 0)
    }
    single(
      "blnk_gateway_internal_faults_total", .counter,
      "Exchanges ended because of a bug in the gateway; please report them.",
      state.loops.reduce(0) { $0 + $1.metrics.internalFaults.current })
  }

  private static let codesOfLimits: [(limit: String, code: GatewayCode)] = [
    ("rate", .rateLimited), ("concurrency", .concurrencyLimited), ("upstream", .upstreamBusy),
    ("connections", .overloaded),
  ]

  private mutating func writeConnections(_ state: GatewayState) {
    let metrics = state.loops.map(\.metrics)
    single(
      "blnk_gateway_connections", .gauge, "Open downstream connections.",
      state.loops.reduce(0) { $0 + $1.handle.connections.load(ordering: .relaxed) })
    single(
      "blnk_gateway_connections_accepted_total", .counter, "Accepted downstream connections.",
      metrics.reduce(0) { $0 + $1.accepted.current })
    single(
      "blnk_gateway_connections_refused_total", .counter, "Downstream connections refused because a limit was reached.",
      metrics.reduce(0) { $0 + $1.refusedConnections.current })
    single(
      "blnk_gateway_proxy_header_faults_total", .counter,
      "Connections closed because their PROXY header was missing, malformed, late or from an untrusted peer.",
      metrics.reduce(0) { $0 + $1.proxyHeaderFaults.current })
  }

  private mutating func writePolicy(_ policy: PolicyInForce) {
    single(
      "blnk_gateway_policy_generation", .gauge, "Number of the policy in force, counted from 1 at start.",
      policy.generation.number)
    let reloads = "blnk_gateway_reloads_total"
    family(reloads, .counter, "Reloads of the policy folder, by result.")
    // "taken" means applied; dashboards and alerts compare the label values, so they stay.
    sample(reloads, [("result", Array("taken".utf8))], value: policy.reloads)
    sample(reloads, [("result", Array("refused".utf8))], value: policy.failures)
    single(
      "blnk_gateway_config_last_reload_successful", .gauge,
      "0 if the policy folder had a fault the last time it was read.",
      policy.failure == nil && policy.faults.isEmpty ? 1 : 0)
    single(
      "blnk_gateway_policy_faults", .gauge,
      "Faults of individual files and instances, whose last good content stays in force, if there is one.",
      policy.faults.count)
    let since = "blnk_gateway_config_last_reload_success_timestamp_seconds"
    family(since, .gauge, "Unix time at which the policy in force was loaded.")
    sample(since, nanoseconds: Int(policy.since) * 1_000)
  }

  private mutating func writeIntrospection(_ state: GatewayState) {
    let readings = state.introspections()
    guard !readings.isEmpty else { return }
    let counts: [(String, String, (IntrospectionReading) -> Int)] = [
      ("asked", "Questions sent to the introspection endpoint.", \.asked),
      ("hits", "Requests that a remembered answer has admitted.", \.hits),
      ("inactive", "Answers that the token is not active.", \.inactive),
      ("faults", "Questions without a usable answer.", \.faults),
      ("unasked", "Questions dropped because of a limit, a full queue or the breaker.", \.unasked),
    ]
    for (key, help, count) in counts {
      let name = "blnk_gateway_introspection_\(key)_total"
      family(name, .counter, help)
      for reading in readings { sample(name, reading.label, value: count(reading)) }
    }
    let breaker = "blnk_gateway_introspection_breaker_state"
    family(breaker, .gauge, "Circuit breaker of the introspection endpoint: 0 closed, 1 probing, 2 open.")
    for reading in readings {
      if let phase = reading.breaker { sample(breaker, reading.label, value: phase.level) }
    }
    let latency = "blnk_gateway_introspection_duration_seconds"
    family(latency, .histogram, "Time until the introspection endpoint has answered.")
    for reading in readings { histogram(latency, reading.label, reading.latency) }
  }

  private mutating func write(_ process: ProcessReading, startedAt: Int64) {
    family("process_cpu_seconds_total", .counter, "User and system CPU time.")
    sample("process_cpu_seconds_total", nanoseconds: process.cpuNanoseconds)
    if let count = process.openDescriptors { single("process_open_fds", .gauge, "Open file descriptors.", count) }
    single("process_max_fds", .gauge, "Maximum number of open file descriptors.", process.descriptorsMax)
    if let bytes = process.residentBytes { single("process_resident_memory_bytes", .gauge, "Resident memory.", bytes) }
    family("process_start_time_seconds", .gauge, "Unix time at which the process started.")
    sample("process_start_time_seconds", nanoseconds: Int(startedAt) * 1_000)
  }
}

/// What the kernel reports about this process.
private struct ProcessReading {
  let cpuNanoseconds = Int(SystemClock.processNanoseconds)
  /// Nil where `/proc` is not mounted.
  let openDescriptors: Int?
  let descriptorsMax = DescriptorLimit.current ?? 0
  /// Nil where `/proc` is not mounted.
  let residentBytes: Int?

  init() {
    openDescriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd"))?.count
    // In pages: total, resident, … (proc(5)).
    let pages = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ") ?? []
    residentBytes = pages.dropFirst().first.flatMap { Int($0) }.map { $0 * Int(getpagesize()) }
  }
}
