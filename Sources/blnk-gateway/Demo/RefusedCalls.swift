import Policies

extension DemoRun {
  /// One refusal of each kind that a caller can cause, and the faults of instances.
  func makeRefusedCalls() throws(CommandFault) {
    try heading("What the gateway refuses")
    for refusal in refusals {
      let answer = try call(refusal.title, refusal.request)
      try judge(refusal.complaints(answer))
    }
    try checkThatInstancesStayUnknown()
    try checkThatConnectionsSurvive()
    try heading("Instances that fail")
    for refusal in faults {
      let answer = try call(refusal.title, refusal.request)
      try judge(refusal.complaints(answer))
    }
  }

  /// An answer must not tell an instance of somebody else from one that does not exist.
  private func checkThatInstancesStayUnknown() throws(CommandFault) {
    let token = stage.folder.app.text
    let requests = ["inst_second", "inst_nowhere"].map { name in
      DemoRequest("GET /proxy/balances?instance_id=\(name)", token: token)
    }
    let answers = try client.call(requests.map(\.bytes))
    let bodies = answers.map { $0.bodyText.replacing($0.value(of: "X-Request-Id") ?? "none", with: "(id)") }
    try show("An instance that does not exist", requests[1], answers[1])
    try judge([
      differs("the body", bodies[1], from: bodies[0]), differs("status", answers[1].status, from: 403),
      answers.map(\.fields).map { $0.map(\.name) }.allSatisfy { $0 == answers[0].fields.map(\.name) }
        ? nil : "the fields are others",
    ])
  }

  private func checkThatConnectionsSurvive() throws(CommandFault) {
    let good = DemoRequest("GET /proxy/balances?instance_id=inst_demo", token: stage.folder.app.text)
    let answers = try client.call([
      DemoRequest("GET /proxy/nothing?instance_id=inst_demo", token: stage.folder.app.text).bytes,
      DemoRequest("POST /proxy/balances?instance_id=inst_demo", token: nil, body: "{}").bytes, good.bytes,
    ])
    try show("A good call on the connection of two refused ones", good, answers[2])
    try judge([
      differs("the statuses", answers.map(\.status), from: [404, 401, 200]),
      answers.contains { $0.value(of: "Connection") != nil } ? "a connection was closed" : nil,
    ])
  }
}
