import Counters
import Policies
import Reactor
import Synchronization
import Telemetry

extension PrometheusText {
  /// What is said of the gateway as a whole.
  mutating func write(_ state: GatewayState) {
    family("blnk_gateway_build_info", .gauge, "Which version runs; always 1.")
    sample("blnk_gateway_build_info", [("version", Array(gatewayVersion.utf8))], value: 1)
    writeOwnTime(state)
    writeRefusals(state)
    writeConnections(state)
    writePolicy(state.policyInForce)
    if let log = state.log {
      single(
        "blnk_gateway_access_log_lines_lost_total", .counter,
        "Lines that were lost because their reader or disk did not keep up.", log.droppedLines)
    }
    if let audit = state.audit() { write(audit) }
    single(
      "blnk_gateway_draining", .gauge, "1 once the gateway has been told to end.",
      state.isDraining.load(ordering: .relaxed) ? 1 : 0)
    write(ProcessReading(), startedAt: state.startedAt)
  }

  /// The hash of the head changes with every entry, so that it is in the status and no label.
  private mutating func write(_ audit: AuditState) {
    single(
      "blnk_gateway_audit_head_sequence", .gauge, "Number of the audit log's last durable entry.",
      Int(clamping: audit.head?.sequence ?? 0))
    single("blnk_gateway_audit_entries_total", .counter, "Entries that were written to the audit log.", audit.entries)
    single(
      "blnk_gateway_audit_failures_total", .counter,
      "Files of the audit log that were given up, and attempts at a new one that failed.", audit.failures)
    single(
      "blnk_gateway_audit_lost_outcomes_total", .counter, "Outcomes that no file of the audit log has.",
      audit.lostOutcomes)
    single("blnk_gateway_audit_queue", .gauge, "Entries that wait to be written.", audit.queueDepth)
    single("blnk_gateway_audit_writable", .gauge, "0 while writes are refused.", audit.canWrite ? 1 : 0)
  }

  private mutating func writeOwnTime(_ state: GatewayState) {
    let name = "blnk_gateway_own_duration_seconds"
    family(name, .histogram, "Time in which an exchange kept the gateway itself at work.")
    histogram(name, [], state.loops.reduce(into: HistogramReading()) { $0 += $1.metrics.ownTime.reading })
  }

  private mutating func writeRefusals(_ state: GatewayState) {
    let name = "blnk_gateway_refusals_total"
    family(name, .counter, "Exchanges that the gateway refused or that failed, by the code that it gave.")
    let counts = GatewayCode.allCases.map { code in (code, state.loops.reduce(0) { $0 + $1.metrics.refusals(code) }) }
    for (code, count) in counts where count > 0 { sample(name, [("code", Array(code.text.utf8))], value: count) }
    let limits = "blnk_gateway_limits_hit_total"
    family(limits, .counter, "Requests and connections that were refused because a limit was reached, by limit.")
    for (limit, code) in Self.codesOfLimits {
      sample(limits, [("limit", Array(limit.utf8))], value: counts[Int(code.rawValue)].1)
    }
    single(
      "blnk_gateway_internal_faults_total", .counter,
      "Exchanges that were ended because of a bug in the gateway; please report them.",
      state.loops.reduce(0) { $0 + $1.metrics.internalFaults.now })
  }

  private static let codesOfLimits: [(limit: String, code: GatewayCode)] = [
    ("rate", .rateLimited), ("concurrency", .concurrencyLimited), ("upstream", .upstreamBusy),
    ("connections", .overloaded),
  ]

  private mutating func writeConnections(_ state: GatewayState) {
    let metrics = state.loops.map(\.metrics)
    single(
      "blnk_gateway_connections", .gauge, "Connections of clients that are open.",
      state.loops.reduce(0) { $0 + $1.handle.connections.load(ordering: .relaxed) })
    single(
      "blnk_gateway_connections_accepted_total", .counter, "Connections of clients that were taken.",
      metrics.reduce(0) { $0 + $1.accepted.now })
    single(
      "blnk_gateway_connections_refused_total", .counter, "Connections of clients above the limit.",
      metrics.reduce(0) { $0 + $1.refusedConnections.now })
  }

  private mutating func writePolicy(_ policy: PolicyInForce) {
    single(
      "blnk_gateway_policy_generation", .gauge, "Policies that were put into force since the start.",
      policy.generation.number)
    let reloads = "blnk_gateway_reloads_total"
    family(reloads, .counter, "Attempts to put the policy folder into force anew, by what came of them.")
    sample(reloads, [("result", Array("taken".utf8))], value: policy.reloads)
    sample(reloads, [("result", Array("refused".utf8))], value: policy.failures)
    single(
      "blnk_gateway_config_last_reload_successful", .gauge,
      "0 if anything in the policy folder was faulty when it was read last.",
      policy.failure == nil && policy.faults.isEmpty ? 1 : 0)
    single(
      "blnk_gateway_policy_faults", .gauge,
      "Errors of single files and instances, for which what was in force before stands in, or nothing.",
      policy.faults.count)
    let since = "blnk_gateway_config_last_reload_success_timestamp_seconds"
    family(since, .gauge, "When the policy in force was taken, since 1970.")
    sample(since, nanoseconds: Int(policy.since) * 1_000)
  }

  private mutating func write(_ process: ProcessReading, startedAt: Int64) {
    family("process_cpu_seconds_total", .counter, "CPU time of the process, in user and system mode.")
    sample("process_cpu_seconds_total", nanoseconds: process.cpuNanoseconds)
    single("process_open_fds", .gauge, "Open file descriptors.", process.openDescriptors)
    single("process_max_fds", .gauge, "How many file descriptors may be open.", process.descriptorsMax)
    single("process_resident_memory_bytes", .gauge, "Memory in use.", process.residentBytes)
    family("process_start_time_seconds", .gauge, "When the gateway started, since 1970.")
    sample("process_start_time_seconds", nanoseconds: Int(startedAt) * 1_000)
  }
}
