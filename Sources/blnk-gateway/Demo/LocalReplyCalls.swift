import Policies

extension DemoRun {
  /// Makes calls that the gateway answers itself: one for each rejection that a client can cause, and instance faults.
  func makeCallsWithLocalReplies() throws(CommandFault) {
    try heading("Requests that the gateway rejects")
    for expected in rejections {
      let response = try call(expected.title, expected.request)
      try check(expected.mismatches(response))
    }
    try checkInstancesAreHidden()
    try checkConnectionIsKept()
    try heading("Instance faults")
    for expected in faults {
      let response = try call(expected.title, expected.request)
      try check(expected.mismatches(response))
    }
  }

  /// A response must not reveal whether a forbidden instance exists.
  private func checkInstancesAreHidden() throws(CommandFault) {
    let token = demo.folder.app.text
    let requests = ["inst_second", "inst_nowhere"].map { name in
      DemoRequest("GET /proxy/balances?instance_id=\(name)", token: token)
    }
    let responses = try client.send(requests.map(\.bytes))
    let bodies = responses.map { $0.bodyText.replacing($0.value(of: "X-Request-Id") ?? "none", with: "(id)") }
    try show("An instance that does not exist", requests[1], responses[1])
    try check([
      mismatch("the body", bodies[1], expected: bodies[0]), mismatch("status", responses[1].status, expected: 403),
      responses.map(\.fields).map { $0.map(\.name) }.allSatisfy { $0 == responses[0].fields.map(\.name) }
        ? nil : "the fields differ",
    ])
  }

  private func checkConnectionIsKept() throws(CommandFault) {
    let good = DemoRequest("GET /proxy/balances?instance_id=inst_demo", token: demo.folder.app.text)
    let responses = try client.send([
      DemoRequest("GET /proxy/nothing?instance_id=inst_demo", token: demo.folder.app.text).bytes,
      DemoRequest("POST /proxy/balances?instance_id=inst_demo", token: nil, body: "{}").bytes, good.bytes,
    ])
    try show("A valid request on a connection with two rejected ones", good, responses[2])
    try check([
      mismatch("the statuses", responses.map(\.status), expected: [404, 401, 200]),
      responses.contains { $0.value(of: "Connection") != nil } ? "the connection was closed" : nil,
    ])
  }
}
