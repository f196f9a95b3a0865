/// What is shown of a status, for `StatusView` and, in a browser, for the script of the page.
///
/// A line that begins with `=` is a fact, with `-` a detail, and with `|` a column of the table before it; the name of
/// a column of numbers begins with `#`. A line that begins with `@` is a table: its id, the member that names a row,
/// where the rows are, where their number is, whether it is shown `always` or only with rows (`filled`) or if there is
/// such a member (`known`), and its title.
///
/// The lines after it are its rules, of which the first one whose condition holds gives the tone and the text. A
/// condition is `*`, or a path: of something true, not 0 and not empty; with `!`, of the opposite; with `?`, of something
/// missing; with `=`, of that text; with `<`, of a time within that many days.
enum StatusRules {
  static let text = """
    = State
    stuck_loops bad stuck: loop {stuck_loops}
    draining warn draining
    * good serving
    = Instances
    instances_troubled bad {instance_count}, {instances_troubled} in trouble
    * good {instance_count}
    = Requests
    * . {requests|rate}
    = Refusals and faults
    * . {refusals|rate}
    = Connections
    connections.refused warn {connections.open} open, {connections.accepted} accepted, {connections.refused} refused
    * . {connections.open} open, {connections.accepted} accepted, 0 refused
    = Policy
    * . generation {policy.generation} since {policy.since|time}
    = Reloads
    policy.last_reload_error bad refused at {policy.last_reload_error.at|time}: {policy.last_reload_error.message}
    * . {policy.reloads}, {policy.reloads_refused} refused
    = Contained faults
    policy.fault_count bad {policy.fault_count}
    * good 0
    = Audit log
    ?audit . off
    !audit.writable bad cannot be written; writes are rejected
    audit.lost_outcomes warn entries: {audit.entries}, outcomes lost: {audit.lost_outcomes}
    * good entries: {audit.entries}, outcomes lost: 0
    = Journal
    ?idempotency . off
    !idempotency.writable bad cannot be written: {idempotency.last_fault}
    idempotency.unknown warn unknown: {idempotency.unknown}, in flight: {idempotency.in_flight}, keys: {idempotency.keys}
    * good keys: {idempotency.keys}, in flight: {idempotency.in_flight}, {idempotency.disk_bytes|size}
    = Access log
    ?access_log_lines_lost . off
    access_log_lines_lost warn lines lost: {access_log_lines_lost}
    * good lines lost: 0
    = Upgrade
    upgrade=none . none since the start
    upgrade=complete . complete: this process has replaced another
    upgrade=predecessor_drains warn the process before this one drains
    * warn another process has taken over
    - Policy digest
    * . {policy.sha256}
    - Audit head
    * . {audit.head}
    - Up
    * . {uptime_seconds|duration}, since {started_at|time}
    - Version
    * . {version} ({commit}), Swift {swift}, libcurl {libcurl}
    @ instances id instances instance_count always Instances
    | Instance
    * . {id}
    | Breaker
    breaker=closed good closed
    breaker=open bad open
    * warn {breaker}
    | Health
    healthy good ok
    * bad failing
    | Writes
    ?writes . -
    writes . on
    * warn off
    | #Requests
    * . {requests}
    | #per s
    * . {requests|speed}
    | #p50 ms
    * . {upstream_ms|0.5}
    | #p90 ms
    * . {upstream_ms|0.9}
    | #p99 ms
    * . {upstream_ms|0.99}
    | #In flight
    * . {in_flight}
    | #Queue
    queued warn {queued}
    * . 0
    | Last fault
    policy_fault bad policy: {policy_fault}
    last_fault.detail warn {last_fault.at|time} {last_fault.code|code}: {last_fault.detail}
    last_fault warn {last_fault.at|time} {last_fault.code|code}
    * . -
    @ clients name clients client_count known Clients
    | Client
    * . {name}
    | #Requests
    * . {requests}
    | #per s
    * . {requests|speed}
    | #Refusals
    ?refusals . -
    refusals warn {refusals|sum}
    * . 0
    | Codes
    refusals . {refusals|codes}
    * . -
    | #Limits hit
    rate_limited warn {rate_limited}
    * . {rate_limited}
    | #In
    * . {bytes_in|size}
    | #Out
    * . {bytes_out|size}
    | Token expires
    ?token_expires_at . -
    token_expires_at<0 bad {token_expires_at|time}
    token_expires_at<14 warn {token_expires_at|time}
    * . {token_expires_at|time}
    @ introspection provider introspection - filled Introspection
    | Provider
    * . {provider}
    | Breaker
    breaker=closed good closed
    * bad {breaker}
    | #Asked
    * . {asked}
    | #Faults
    faults warn {faults}
    * . 0
    @ faults - policy.faults policy.fault_count filled Contained faults of the policy
    | Fault
    * bad {}
    @ recent - recent - always Last refusals and faults
    | Time
    * . {at|time}
    | Code
    * . {code|code}
    | Client
    * . {client}
    | Instance
    * . {instance}
    | Call
    path . {method} {path}
    * . -
    | Request
    * . {request_id}
    """
}
