import Crypto
import Testing

@testable import Vault

/// A store that the first version made, row by row, and its key.
private func storeOfStep1() throws -> Store {
  let store = try Store(created: false)
  store.write(
    Array("chatelaine-master-key-1:3DVz_LsuS2byBZwnNGdzmsZDpUXPV4RGzWvaJNf3_3k:c691b6db\n".utf8), to: "master.key",
    mode: 0o400)
  store.write([])
  store.tamper(
    """
    PRAGMA application_id = \(Schema.applicationID); PRAGMA user_version = 1; PRAGMA journal_mode = WAL;
    \(Schema.steps[0])
    INSERT INTO store VALUES (1, x'30cb098c9f1898f621b916c715642d76', 1795236996);
    INSERT INTO master_key VALUES (
      1, 1, x'e6428e6c9b7f3c5730b246cbadd015dc', x'8e3332264a1b98d53e0f84c44f79caa5', x'57ee3fa43240a3498b892f9c',
      x'8d1625a682fffc89b367179cf9b874a7e97ee4859a4c53921eb12b520fbd3d3594f375219bb80e1949d534040c4b4854107373fe201c3b5d\
    ade49d3c127b8dd25feb3bf5e2114388bba36ae24aeaefa7', x'', 0, 0, 0);
    INSERT INTO data_key VALUES (
      1, 1795236997, 2, x'76cd7f469c4beb4521067dd7126ea466', x'1eb3885838fb4c5c8bbef37b',
      x'faa6815a5f3d6ed4ebf8799457faf746d34046c4e11232d0cb62978079eefd051f2edd8c32450ef23604b9308e95989a8b3f28d5ddb09278\
    c8fae245dcea9fd65e85fdcb8033f737af3aa3eebd783618');
    INSERT INTO secret VALUES (
      1, 'codegate/api_key', 1, 1795236997, 1795236997, 1, x'd7ca93a835b7b40af918d80d819d854c',
      x'274ce586d87ba399a26bc77a',
      x'28bfff2a334aab92557966c667c9a11f282d54ed0fb5dd0038e731519fb6084438ad769ad0c01b24e313ad2db2faf6a14e4c28293e2a3f05\
    12528a0b7ac95e04c16ac29e25a7d86e51217f350e4fb2c8');
    INSERT INTO secret VALUES (
      2, 'codegate/secret', 1, 1795236997, 1795236997, 1, x'56c3724666cbe9be63e6c63ce41c348f',
      x'7be185f7d6e2bff06264886c',
      x'49ddd55b8aa4a8be5b9bbb939eb3ef1aea0d891ec10f81330ee2b210636ffbf96fe65ea73632e83429340f15fb05dc0ad147eff815045f33\
    2c5351007d5bee0434b0fac5578c0b5d3b9771da31bd28b2');
    """)
  return store
}

private func open(_ store: Store) throws(VaultError) -> Vault {
  try Vault.open(path: store.path, source: .file(store.keyPath), credentialsDirectory: nil)
}

struct MigrationTests {
  @Test func `a store of the first version keeps its secrets, and takes tokens`() throws {
    let store = try storeOfStep1()
    do {
      let vault = try open(store)
      #expect(try vault.database.integer("PRAGMA user_version") == Schema.steps.count)
      #expect(try vault.secret("codegate/api_key")?.text == "key-of-old")
      #expect(try vault.secret("codegate/secret")?.text == "canary-of-old")
      #expect(try vault.tokenList().isEmpty && vault.rotations().isEmpty)
      try vault.beginRotation(route: "codegate", subject: "default", kind: "fetch", generation: 1, now: 5)
      try vault.storeToken(
        StoredToken(
          route: "codegate", subject: "default", generation: 1, obtainedAt: 5, expiresAt: nil, refreshExpiresAt: nil,
          identity: [UInt8](repeating: 1, count: 32), payload: secret("token")), now: 1_795_236_999)
      #expect(try vault.setSecret("codegate/secret", secret("newer"), now: 1_795_236_999) == 2)
    }
    let vault = try open(store)
    #expect(try vault.token(route: "codegate", subject: "default")?.payload.text == "token")
    #expect(try vault.secret("codegate/secret")?.text == "newer")
    #expect(vault.dataKeys.count == 1)
  }

  @Test func `a damaged one is refused as it is, and not migrated first`() throws {
    let store = try storeOfStep1()
    store.tamper("UPDATE secret SET version = 2 WHERE id = 2; PRAGMA wal_checkpoint(TRUNCATE)")
    let before = store.contents()
    #expect(throws: VaultError(.secretMismatch, "")) { try open(store) }
    #expect(store.contents() == before)
    #expect(store.contents("store.db-wal").isEmpty)
  }
}
