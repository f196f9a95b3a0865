import Digests
import Policies
import Reactor
import SandboxCore

/// The text that the demo prints: what is running, and commands to paste into another terminal.
struct DemoGuide {
  let demo: DemoEnvironment

  var text: String {
    """
    \(heading("Running"))
      gateway      http://127.0.0.1:\(demo.gatewayPort)
      admin        http://127.0.0.1:\(demo.adminPort)
      inst_demo    a sandbox Core at 127.0.0.1:\(demo.cores[0].address.port ?? 0), in memory only
      inst_second  another one at 127.0.0.1:\(demo.cores[1].address.port ?? 0), forbidden to the tokens below
      inst_closed, inst_silent, inst_paused
                   instances that refuse connections, never respond, and accept no writes
      files        \(demo.folder.path): policies/, access.log, audit.log, audit.key

    \(heading("Paste into another terminal"))
      GATEWAY=http://127.0.0.1:\(demo.gatewayPort) ADMIN=http://127.0.0.1:\(demo.adminPort)
      TOKEN=\(demo.folder.app.text)   # reads and writes
      READER=\(demo.folder.reader.text)  # only reads
      DIRECT=\(demo.folder.direct.text)  # reads and writes inst_demo without naming it
      SECRET=\(demo.folder.clientSecret.text)  # with which an app gets its own tokens
      DEMO=\(demo.folder.path.shellQuoted)
      export BLNK_GATEWAY_POLICIES=$DEMO/policies PATH=\(programFolder.shellQuoted):$PATH
      call() { curl -s -w '\\n' -H "Authorization: Bearer ${AS:-$TOKEN}" "$@"; }
      id_of() { sed -n 's/.*"'$1'":"\\([^"]*\\)".*/\\1/p'; }

      # Create an identity and a balance, link them, read the balance, list all balances.
      IDENTITY=$(call "$GATEWAY/proxy/identities?instance_id=inst_demo" -d '{"first_name": "John", "identity_type": "individual"}' | id_of identity_id)
      BALANCE=$(call "$GATEWAY/proxy/balances?instance_id=inst_demo" -d '{"ledger_id": "general_ledger_id", "currency": "USD"}' | id_of balance_id)
      call -X PUT "$GATEWAY/proxy/balances/$BALANCE/identity?instance_id=inst_demo" -d '{"identity_id": "'$IDENTITY'"}'
      call "$GATEWAY/proxy/balances/$BALANCE?instance_id=inst_demo"
      call "$GATEWAY/proxy/balances?instance_id=inst_demo"

      # Call the gateway as Blnk's SDKs do, which know only Core's paths: the token is the key, and the base URL is
      # $GATEWAY/instances/inst_demo or, for a client with a default instance, $GATEWAY.
      curl -s -w '\\n' "$GATEWAY/instances/inst_demo/balances/$BALANCE" -H "X-Blnk-Key: $TOKEN"
      curl -s -w '\\n' "$GATEWAY/balances/$BALANCE" -H "X-Blnk-Key: $DIRECT"

      # Get a token as an app does (OAuth), call with it, and revoke it. The last call gets 401.
      OAUTH=$(curl -s "$GATEWAY/oauth/token" -d grant_type=client_credentials -d client_id=\(DemoFolder.oauthClient) -d client_secret=$SECRET | id_of access_token)
      AS=$OAUTH call "$GATEWAY/proxy/balances?instance_id=inst_demo"
      echo $OAUTH | blnk-gateway explain --token-stdin --method GET --target '/proxy/balances?instance_id=inst_demo'
      curl -s "$GATEWAY/oauth/revoke" -d token=$OAUTH -d client_id=\(DemoFolder.oauthClient) -d client_secret=$SECRET
      AS=$OAUTH call -i "$GATEWAY/proxy/balances?instance_id=inst_demo"

      # Rejected: no token, no scope to write, a forbidden instance, no instance.
      curl -s -i -w '\\n' "$GATEWAY/proxy/balances?instance_id=inst_demo"
      AS=$READER call -i "$GATEWAY/proxy/balances?instance_id=inst_demo" -d '{}'
      call -i "$GATEWAY/proxy/balances?instance_id=inst_second"
      call -i "$GATEWAY/proxy/balances"

      # Ask which rule rejects a request, without sending it.
      blnk-gateway explain --client demo-reader --method POST --target '/proxy/balances?instance_id=inst_demo'

      # The admin endpoint. $ADMIN in a browser is the status page; in a terminal: blnk-gateway top.
      curl -s "$ADMIN/readyz"
      curl -s "$ADMIN/status"
      curl -s "$ADMIN/metrics" | grep -v '^#'

      # The audit log: list who wrote to the balance, and check the chain of hashes.
      blnk-gateway audit show --balance "$BALANCE" "$DEMO/audit.log"
      blnk-gateway audit verify --key-file "$DEMO/audit.key" "$DEMO/audit.log"

      # Revoke the token in $READER, by a prefix of its SHA-256 digest. The last call gets 401.
      blnk-gateway token list --client demo-reader
      blnk-gateway token revoke --digest \(demo.folder.reader.digest.hex.prefix(12))
      AS=$READER call -i "$GATEWAY/proxy/balances?instance_id=inst_demo"

    Ctrl-C stops the demo and deletes its files.
    """
  }

  private var programFolder: String {
    ProgramPath.current.map { String($0.prefix(upTo: $0.lastIndex(of: "/") ?? $0.startIndex)) } ?? "."
  }

  private func heading(_ text: String) -> String { Console.styled(text, .bold) }
}
