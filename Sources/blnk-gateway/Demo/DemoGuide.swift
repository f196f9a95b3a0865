import Policies
import Reactor
import SandboxCore

/// What to do with a demo that runs: lines to paste into another terminal.
struct DemoGuide {
  let stage: DemoStage

  var text: String {
    """
    \(heading("This runs on your machine now"))
      gateway     http://127.0.0.1:\(stage.gatewayPort)
      inst_demo   a stand-in Core at 127.0.0.1:\(stage.cores[0].address.port ?? 0), which keeps nothing
      inst_second another one at 127.0.0.1:\(stage.cores[1].address.port ?? 0), which is not this client's
      access log  \(stage.folder.accessLog)

    \(heading("Paste into another terminal"))
      GATEWAY=http://127.0.0.1:\(stage.gatewayPort)
      TOKEN=\(stage.folder.app.text)
      READER=\(stage.folder.reader.text)
      DIRECT=\(stage.folder.direct.text)
      call() { curl -s -w '\\n' -H "Authorization: Bearer ${AS:-$TOKEN}" "$@"; }
      id_of() { sed -n 's/.*"'$1'":"\\([^"]*\\)".*/\\1/p'; }

      # Create an identity and a balance, link them, read the balance back, list all.
      IDENTITY=$(call "$GATEWAY/proxy/identities?instance_id=inst_demo" -d '{"first_name": "John", "identity_type": "individual"}' | id_of identity_id)
      BALANCE=$(call "$GATEWAY/proxy/balances?instance_id=inst_demo" -d '{"ledger_id": "general_ledger_id", "currency": "USD"}' | id_of balance_id)
      call -X PUT "$GATEWAY/proxy/balances/$BALANCE/identity?instance_id=inst_demo" -d '{"identity_id": "'$IDENTITY'"}'
      call "$GATEWAY/proxy/balances/$BALANCE?instance_id=inst_demo"
      call "$GATEWAY/proxy/balances?instance_id=inst_demo"

      # Callers of Core unchanged, such as Blnk's SDKs: base URL and a token as the key, nothing else.
      # Any client: base URL $GATEWAY/instances/inst_demo. A client with a default instance: base URL $GATEWAY.
      curl -s -w '\\n' "$GATEWAY/instances/inst_demo/balances/$BALANCE" -H "X-Blnk-Key: $TOKEN"
      curl -s -w '\\n' "$GATEWAY/balances/$BALANCE" -H "X-Blnk-Key: $DIRECT"

      # What the gateway refuses: no token, no scope to write, an instance that is not this client's, none at all.
      curl -s -i -w '\\n' "$GATEWAY/proxy/balances?instance_id=inst_demo"
      AS=$READER call -i "$GATEWAY/proxy/balances?instance_id=inst_demo" -d '{}'
      call -i "$GATEWAY/proxy/balances?instance_id=inst_second"
      call -i "$GATEWAY/proxy/balances"

    Ctrl-C ends it all.
    """
  }

  private func heading(_ text: String) -> String { Console.painted(text, .bold) }
}
