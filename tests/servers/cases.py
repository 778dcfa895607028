"""Files of real incidents and of attacks on this program, and what comes of each: one table.

They are in a folder beside the clone, whose README tells the story of each; ``fixtures/cases`` holds small ones for
when it is not there. `test_cases` runs every row of `RUNS`, asks about each of `FATES`, and gives every snapshot and
log of the folder to every server there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "cases"
FIXTURES = ROOT / "fixtures" / "cases"
CASES = SHARED if SHARED.exists() else FIXTURES


def names(folder: Path) -> list[str]:
    """Every case in it, a file or the directory of a set, as ``aof/c31.tar``."""
    return sorted(f"{path.parent.name}/{path.name}" for path in folder.glob("*/*"))


@dataclass(frozen=True)
class Run:
    """A command line over copies of ``case``, several names apart by a space, and what comes of it.

    ``{}`` or ``{0}``, ``{1}`` in ``command`` stand for the copies, ``OUT`` for the beginning of names that are free.
    ``code``: the exit code; ``says``: a regular expression that is found in what it prints; ``keys``: how many keys are
    in ``OUT.rdb`` then, which is sound, -1 where it is not written.
    """

    case: str
    command: str
    code: int
    says: str = ""
    keys: int = -1


NUKE = "b840fc02d524045429941cc15f59e41cb7be6c52=FLUSHALL"
KEEP = "convert {} OUT.rdb --keep-going"
FIX = "check-aof {} --fix --yes --max-loss 1000000"

RUNS = [
    # A readable command is never cut for its name.
    Run("aof/c05-renamed-set", FIX, 1, r"unknown-command .* needs a module or a renamed command \(--allow, --rename\)"),
    Run("aof/c05-renamed-set", f"check-aof {{}} --rename {NUKE}", 0, "Redis 7.0 loads it"),
    Run("aof/c05-renamed-set", f"convert {{}} OUT.rdb --rename {NUKE}", 0, keys=300),
    Run("aof/c05-keydb-expiremember.aof", FIX, 1, "command 'EXPIREMEMBER': it needs a module or a renamed command"),
    Run("aof/c05-keydb-expiremember.aof", FIX + " --fix-unknown", 3, "repaired"),
    # What servers cut, and where.
    Run("verdict/preamble-torn.aof", "check-aof {}", 1, r"error +truncated-command .* cut the file to 0 bytes"),
    Run("verdict/preamble-torn.aof", "check-aof {} --salvage -o OUT.aof", 0, "drops 20 bytes"),
    Run("verdict/multi-torn.aof", "check-aof {}", 1, "cut the file at 92, within the MULTI, which stays open"),
    Run("aof/c11-partexec.aof", "check-aof {} --salvage -o OUT.aof", 0, "drops 58 bytes"),
    Run("aof/c11-after.aof", "check-aof {}", 1, "--salvage --keep-open-transaction"),
    Run("aof/c11-after.aof", "check-aof {} --salvage --keep-open-transaction -o OUT.aof", 3, "drops 48 bytes"),
    # What a server refuses within a log and passes over.
    Run("verdict/select20.aof", "check-aof {}", 1, "select-outside at offset 50"),
    Run("verdict/select20.aof", "check-aof {} --databases 32", 0),
    Run("verdict/select20.aof", "convert {} OUT.rdb", 3, "SELECT fails: ERR DB index is out of range", keys=1),
    Run("aof/c33-select20.aof", "convert {} OUT.rdb", 3, "SELECT fails: ERR DB index is out of range", keys=3),
    Run("aof/c33-select20.aof", "dump {} --databases 32", 0, r'"db":20'),
    # Commands that not every server has.
    Run("aof/c06-json.aof", "check-aof {}", 1, "'JSON.SET', 2 times: it needs a module"),
    Run("aof/c06-json.aof", "check-aof {} --allow JSON.SET --allow TS.ADD --allow _FT.CREATE", 0),
    Run("aof/c04-keydb-rreplay.aof", "check-aof {}", 1, "RREPLAY of KeyDB.* carries commands .*INCR 1, SET 1"),
    Run("aof/c04-keydb-rreplay.aof", "dump {} --allow RREPLAY", 0, '"key"'),
    Run("aof/c32-clusterslots.aof", "check-aof {} --for redis-7.0", 0, "wrong-arity at offset 50"),
    Run("aof/c32-clusterslots.aof", "check-aof {} --for valkey-9.1", 1, "wrong number of arguments"),
    Run("aof/c18-err.aof", "check-aof {} --for redis-6.2", 0, "redis-6.2  yes"),
    Run("aof/c18-err.aof", "check-aof {} --for redis-7.0", 1, r"redis-7.0  \?"),
    Run("aof/newcomer-hsetex.aof", "check-aof {} --for 7.0 --for redis-8.0", 1, "Redis 7.0 refuses the file here"),
    Run("aof/newcomer-valkey-set", "check-aof {}", 0, "Valkey 9.1 loads it"),
    Run("aof/newcomer-valkey-set", "check-aof {} --for 7.0", 1, "Redis 7.0 does not start with it"),
    Run("verdict/arity.aof", "check-aof {} --for redis-7.0", 0, "wrong-arity at offset 23"),
    Run("verdict/arity.aof", "check-aof {} --for valkey-8.1", 1, "wrong number of arguments for 'get' command"),
    Run("house/arity.aof", "check-aof {} --for valkey-9.1", 1, "wrong number of arguments for 'hsetex' command"),
    Run("aof/c38-b", "convert {} OUT.rdb", 0, keys=368),
    Run("aof/c38-open", "check-aof {}", 0, "Valkey 9.2 load"),
    Run("aof/c38-open", "convert {} OUT.rdb", 3, "a migration of 8,192 slots did not finish", keys=1),
    Run("verdict/vadd810", "check-aof {}", 0, "Redis 8.0 loads it"),
    Run("verdict/vadd810", "convert {} OUT.rdb", 1, "servers carry it out, and a replay here cannot"),
    Run("verdict/vadd810", "convert {} OUT.rdb --unknown skip", 3, "'VADD' is left out", keys=2),
    Run("verdict/himport810", "check-aof {}", 0, "Redis 8.10 loads it"),
    Run("verdict/himport810", "digest {}", 0, "^d5b6f106519fb734514b22999d48757be344298d "),
    # Damaged sets and files.
    Run("aof/c03b-manifestempty", "check-aof {}", 1, "the manifest is empty: .* the files beside it are checked"),
    Run("aof/c03a-allempty", "check-aof {}", 1, r"bad-manifest(.|\n)*|every file is empty"),
    Run("aof/c45-cut", KEEP, 3, "the log is applied to what came back", keys=148),
    Run("aof/c46-plain-cut.rdb", KEEP, 3, "truncated at offset 2318", keys=98),
    Run("aof/c46-plain-cut.rdb", "convert {} OUT.rdb", 1, "nothing was written"),
    Run("aof/c07-vimnl.aof", KEEP, 3, "check-aof says what can be saved behind it", keys=40),
    Run("aof/c34-after.aof", "check-aof {} --salvage -o OUT.aof", 0, "drops 9 bytes"),
    Run("aof/c07-lf.aof", FIX, 2, "its line ends can be turned back in a copy only"),
    Run("aof/c07-lf.aof", "check-aof {} -o OUT.aof", 0, "OUT.aof|written|copy"),
    Run("aof/c13-cat.aof", "check-aof {}", 1, "second-snapshot at offset 182"),
    Run("aof/c13-cat.aof", "check-aof {} --salvage -o OUT.aof", 3, "drops 128 bytes"),
    Run("aof/c31.tar", FIX, 2, "not-a-log at offset 0: .* a tar archive, which verify reads: else unpack it"),
    Run(
        "aof/newcomer-backup.tar.gz",
        FIX,
        2,
        "not-a-log at offset 0: .* a tar archive, which verify reads: else unpack it",
    ),
    # A state that no server had is not written.
    Run("aof/c06-carry-del.aof", "convert {} OUT.aof --unknown carry", 0, "1 command behind them are kept too"),
    Run("aof/c06-carry-expire.aof", "convert {} OUT.aof --unknown carry", 0, "1 command behind them are kept too"),
    Run("aof/c06-carry-flushall.aof", "convert {} OUT.aof --unknown carry", 0, "2 commands behind them are kept too"),
    Run("aof/c06-carry-realserver", "convert {} OUT.aof --unknown carry", 0, "4 commands behind them are kept too"),
    Run("aof/c06-carry-realserver", "convert {} OUT.rdb --unknown carry", 2),
    Run("aof/c03f-nomanifest", "check-aof {}", 1, "no-manifest"),
    Run(
        "aof/c03f-nomanifest",
        "convert {0}/*.rdb {0}/*.aof OUT.rdb",
        0,
        "parts of one set, replayed in this order",
        keys=4,
    ),
    # Loss is told, and refused where that is asked for.
    Run("aof/c15-set", "convert {} OUT.aof --base resp", 3, "pending entries of deleted messages: 10"),
    Run("aof/c15-set", "convert {} OUT.resp --lossless", 2, r"pending entries of deleted messages \(10\)"),
    Run("aof/c15-set", "convert {} OUT.rdb --lossless", 0, keys=3),
    Run("verdict/pel.rdb", "convert {} OUT.aof --base resp", 3, "pending entries of deleted messages: 1"),
    Run("verdict/pel.aof", "convert {} OUT.resp --lossless", 0),
    Run("verdict/pel.txt", "convert {} OUT.resp --lossless", 2, r"pending entries of deleted messages \(1\)"),
    Run(
        "aof/c20-fn-server-api.aof", "convert {} OUT.rdb --target redis-7.0", 3, "functions that call 'server'", keys=1
    ),
    Run("aof/c20-fn-server-api.aof", "convert {} OUT.rdb --target valkey-9.1 --lossless", 0, keys=1),
    # Scripts.
    Run("aof/c18-select.aof", "dump {}", 0, r'^\{"schema":1,"db":0,"key":"\w+".*\n\{"db":\d,"key"'),
    Run("aof/c18-cjson.aof", "dump {} --format table", 0, r'"http:\\\\/\\\\/a\\\\/b"'),
    Run("aof/c18-cjson.aof", "digest {} --as redis-7.0", 0),
    Run("aof/c18-cjson.aof", "digest {} --as valkey-9.1", 1, "the order in which Valkey 9 keeps the keys of a table"),
    Run("aof/c18-bit.aof", "digest {}", 0, "^30b79ae98e2cb5ba80baad5cff5a6767f3cf3b8f "),
    Run("aof/c18-struct.aof", "digest {}", 0, "^698f186799bfda60e91d5c4c80be6a09d2f779e2 "),
    Run("aof/c19-fcall.aof", "convert {} OUT.rdb", 1, "functions are not run: .* is not what the server has"),
    Run("aof/c19-fcall.aof", "convert {} OUT.rdb --unknown skip", 3, "not-run", keys=1),
    Run("verdict/appendonly5.aof", "digest {}", 0, "^89f4d6837c2a7afc445c899068f4808688fa00e6 "),
    Run("faults/bc-body.aof", "digest {}", 0, "bytecode is not loaded"),
    Run("faults/bc-leak.aof", "digest {}", 0, "attempt to call local 'f'"),
    Run("faults/ret-rec.aof", "digest {}", 0, "reached lua stack limit"),
    Run("faults/cjson-rec.aof", "digest {}", 0, "excessive depth"),
    Run("faults/ret-nan.aof", "digest {}", 0, "^12fd5601f126d03b81f466a1e19833789249a064 "),
    Run("faults/ret-fn.aof", "digest {}", 0, "^12fd5601f126d03b81f466a1e19833789249a064 "),
    Run("faults/call-nan.aof", "dump {}", 0, '"g".*"-nan"'),
    # The default target is the release that wrote the input.
    Run("verdict/hybrid62.aof", "rewrite {} --resp -o OUT.aof", 3, "consumer seen times: 1"),
    Run("verdict/hybrid62.aof", "dump {} -f resp", 3, r"\A(?!(.|\n)*ENTRIESREAD)"),
    Run("verdict/hybrid62-resp.aof", "dump {} -f resp", 0),
    Run("verdict/xgroup62.aof", "dump {} -f resp", 0, r"\A(?!(.|\n)*ENTRIESREAD)"),
    Run("verdict/z62-0.rdb", "rewrite {} --resp -o OUT.aof", 0),
    Run("verdict/z62-1.rdb", "rewrite {} --resp -o OUT.aof", 0),
    # What other servers and tools write.
    Run("rdb/c17-min.rdb", "dump {}", 0, '"expire_at_ms":4102444800000'),
    Run("rdb/c17-keydb.rdb", KEEP, 3, r"expiries of members \(KeyDB\): 2", keys=4),
    Run("rdb/c17-keydb-cron.rdb", "convert {} OUT.rdb", 3, r"cron jobs \(KeyDB\): 1", keys=5),
    Run("rdb/c19-enterprise.rdb", "convert {} OUT.rdb", 0, keys=1),
    Run("rdb/c5-eof-stream.rdb", "convert {} OUT.rdb", 0, keys=3),
    Run("rdb/c5-bulk.rdb", "convert {} OUT.rdb", 0, keys=3),
    Run("rdb/c31-rawsync.bin", "check-rdb {}", 1, "it is what a server answered, and no snapshot"),
    Run("rdb/c22-payload.dump", "check-rdb {}", 1, "it is the answer of DUMP for one key"),
    Run("rdb/c18-dragonfly.dfs", "check-rdb {}", 1, "Dragonfly"),
    Run("rdb/m-zerohead.rdb", "check-rdb {}", 1, "the header is lost"),
    # Damaged snapshots: what stands before the damage, with exit code 3.
    Run("rdb/m-badlen.rdb", KEEP, 3, "undone", keys=6),
    Run("rdb/m-badtype.rdb", KEEP, 3, "undone", keys=6),
    Run("rdb/m-six.rdb", KEEP, 0, keys=6),
    Run("rdb/m-zerotail.rdb", KEEP, 3, "46 zero bytes to the end of the input", keys=3),
    Run("rdb/m-crc.rdb", KEEP, 3, "the checksum differs, and every record is in form", keys=6),
    Run("rdb/m-crc.rdb", "convert {} OUT.rdb", 1, "nothing was written"),
    Run("rdb/c4-zerosector.rdb", KEEP, 3, keys=160),
    Run("rdb/c4-zerotail.rdb", KEEP, 3, "7893 zero bytes", keys=72),
    Run("rdb/c2-badstrenc.rdb", KEEP, 3, "1 damaged key left out", keys=160),
    Run("rdb/c2-whole.rdb", "convert {} OUT.rdb", 0, keys=161),
    Run("rdb/newcomer-flip.rdb", "check-rdb {}", 1, "broken"),
    Run("rdb/newcomer-flip.rdb", "convert {} OUT.rdb", 1, "nothing was written"),
    Run("faults/rdb-flip-rc0.rdb", KEEP, 3, "a bit was flipped: this is undone", keys=111),
    Run("faults/rdb-zero512-duplicates.rdb", KEEP, 3, keys=108),
    Run("faults/rdb-del2-nothing.rdb", KEEP, 3, "undone", keys=111),
    Run("rdb/c20-dup.rdb", KEEP, 3, "1 copy of keys", keys=6),
    Run("rdb/c20-dup.rdb", "digest {}", 2, "the key comes twice: the server refuses the file"),
    Run("rdb/c20-dup.rdb", "convert {} OUT.rdb --on-conflict last", 0, "the last one counts", keys=6),
    Run("rdb/c27-dupkey.jsonl", KEEP, 3, "1 copy of keys", keys=4),
    Run("rdb/c27-dupkey.jsonl", "convert {} OUT.rdb --on-conflict last", 0, "the last one counts", keys=4),
    Run("rdb/c-empty.rdb", "digest {}", 2, "the file is empty: servers refuse"),
    Run("rdb/c-empty.rdb", "convert {} OUT.rdb", 1, "nothing was written"),
    Run("faults/select-2p32.rdb", "convert {} OUT.rdb", 2, "database 4294967296: no server has so many"),
    Run("faults/select-2p32.rdb", "convert {} OUT.rdb --db-map 4294967296=0", 0, keys=1),
    Run("faults/lzf-listpack-set-61k.rdb", "check-rdb {}", 1, "a member twice in a listpack"),
    # What only some releases load.
    Run("rdb/c6-auxonly.rdb", "check-rdb {} --for 7.0", 1, "it needs the module of type 'graphdata'"),
    Run("rdb/c6-auxonly.rdb", "check-rdb {} --for 7.0 --modules graphdata", 1, "only it knows"),
    Run("verdict/module_aux.rdb", "check-rdb {} --for redis-7.2", 1, "it needs the module of type 'test__rdb'"),
    Run("verdict/misc_with_stream.rdb", "check-rdb {} --for 7.0", 1, "it needs the module of type 'test__rdb'"),
    Run("rdb/c24-tair.rdb", "check-rdb {} --for 7.0", 1, "it needs the module of type 'exstrtype'"),
    Run("rdb/c24-tair.rdb", "convert {} OUT.aof --drop-modules", 3, r"module values: 1(.|\n)*1 key written"),
    Run("rdb/c24-tair.rdb", "convert {} OUT.resp --drop-modules", 3, r"module values: 1(.|\n)*1 key written"),
    Run("rdb/c24-tair.rdb", "convert {} OUT.jsonl --drop-modules", 3, r"module values: 1(.|\n)*1 key written"),
    Run("rdb/c24-tair.rdb", "convert {} OUT.rdb --drop-modules", 3, r"module values: 1(.|\n)*1 key written", keys=1),
    Run("verdict/streamcount.rdb", KEEP, 3, "stream counters: 1", keys=5),
    Run("verdict/empty-list.rdb", "convert {} OUT.rdb", 0, keys=2),
    Run("verdict/xsetid70.rdb", "check-rdb {} --for 7.0", 0, "redis-7.0 loads the file"),
    Run("verdict/entriesread70.rdb", "check-rdb {} --for redis-8.10", 1, "a consumer group has read 100 of 1 entries"),
    Run("verdict/entriesread86.rdb", "check-rdb {} --for redis-8.6", 0),
    Run("verdict/entriesreadv91.rdb", "check-rdb {} --for valkey-9.1", 0),
    Run("verdict/minexpire.rdb", "check-rdb {} --for redis-8.6", 1, "the least expiry of a hash"),
    Run("verdict/crash-at-load.rdb", "check-rdb {}", 1),
    Run("verdict/lexmixed.aof", "check-aof {}", 0),
    # Other commands.
    Run("rdb/newcomer-groups.rdb", "convert {} OUT.csv", 3, r"empty streams: 1(.|\n)*stream groups: 2"),
    Run("rdb/newcomer-groups.rdb", "convert {} OUT.csv --lossless", 2, r"empty streams \(1\), stream groups \(2\)"),
    Run("rdb/c27-multidb.rdb", "convert {} OUT.rdb --split 2", 0, "3 keys of other databases than 0.*--db-map"),
    Run("rdb/c27-multidb.rdb", "convert {} OUT.rdb --db-map 1=0 --db-map 5=0", 2, "would become one"),
    Run("rdb/c9-subset.rdb", "convert {} - --to resp --replace", 0, r"DEL\r?\n"),
    Run("rdb/c7-a.rdb rdb/c7-b.rdb", "convert {0} {1} OUT.rdb --on-conflict merge", 0, "2 keys merged", keys=4),
    Run("rdb/c28-mem.rdb", "convert {} OUT.rdb", 0, keys=50),
    Run("faults/zunionstore-alone.aof", "digest {}", 0, "wrong number of arguments for 'zunionstore'"),
    Run("faults/zunion-keys.txt", "digest {}", 2, "neither an RDB"),
    Run("faults/conditional.txt", "digest {} --from commands", 1, "unknown command '#TS:1795210988'"),
    Run("faults/manifest-history-only", "check-aof {}", 0, "the manifest names no file to load"),
    Run("faults/manifest-history-only", "rewrite {} -o OUT", 0),
    Run("faults/escapes.rdb", "dump {} -f csv --csv-safe", 3, r"\x1b"),
    Run("house/left.rdb.gz house/right.rdb.gz", "diff {0} {1}", 1, "different"),
    Run("house/left.rdb.gz house/right.rdb.gz", "diff {0} {1} --memory-limit 64M", 1, "different"),
    Run("house/mk.txt", "convert {} OUT.csv", 3, r"empty streams: 1(.|\n)*stream groups: 1"),
    Run("house/hfe-late.rdb", "convert {} OUT.rdb", 0, keys=1),
]

FATES = [
    # case, releases, whether they load it (None: it cannot be told), where they cut it (-1: nowhere)
    ("verdict/preamble-torn.aof", "redis-6.2 redis-7.0 redis-8.0 redis-8.6 redis-8.10 valkey-8.1", True, 0),
    ("verdict/preamble-torn.aof", "valkey-9.1", True, 128),
    ("verdict/multi-torn.aof", "redis-6.2 redis-7.0 redis-8.0 redis-8.6 redis-8.10 valkey-8.1", True, 92),
    ("verdict/multi-torn.aof", "valkey-9.1", True, 50),
    ("aof/c06-json.aof", "redis-6.2 redis-7.0 redis-8.10 valkey-9.1", False, -1),
    ("aof/c04-keydb-rreplay.aof", "redis-6.2 redis-7.0 redis-8.10 valkey-9.1", False, -1),
    ("aof/c32-clusterslots.aof", "redis-6.2 redis-7.0 redis-8.10", True, -1),
    ("aof/c32-clusterslots.aof", "valkey-9.1", False, -1),
    ("aof/newcomer-hsetex.aof", "redis-7.0", False, -1),
    ("aof/newcomer-hsetex.aof", "redis-8.0 redis-8.10 valkey-9.1", True, -1),
    ("aof/newcomer-valkey-set", "redis-7.0 redis-8.10", False, -1),
    ("verdict/arity.aof", "redis-6.2 redis-7.0 redis-8.0 redis-8.6 redis-8.10", True, -1),
    ("verdict/arity.aof", "valkey-8.1 valkey-9.1", False, -1),
    ("aof/c38-b", "valkey-9.1", True, -1),
    ("aof/c38-open", "valkey-9.1", True, -1),
    ("verdict/vadd810", "redis-8.0 redis-8.6 redis-8.10", True, -1),
    ("verdict/vadd810", "redis-7.0 valkey-9.1", False, -1),
    ("verdict/himport810", "redis-8.10", True, -1),
    ("rdb/c6-auxonly.rdb", "redis-7.0 redis-8.10 valkey-9.1", False, -1),
    ("verdict/module_aux.rdb", "redis-7.0 redis-8.10 valkey-9.1", False, -1),
    ("verdict/misc_with_stream.rdb", "redis-7.0 redis-8.10 valkey-9.1", False, -1),
    ("rdb/c24-tair.rdb", "redis-6.2 redis-7.0 redis-8.10 valkey-9.1", False, -1),
    ("verdict/entriesread70.rdb", "redis-7.0 redis-8.0 redis-8.6 valkey-8.1 valkey-9.1", True, -1),
    ("verdict/entriesread70.rdb", "redis-6.2 redis-8.10", False, -1),
    ("verdict/entriesread86.rdb", "redis-8.6", True, -1),
    ("verdict/entriesread86.rdb", "redis-8.0 valkey-9.1", False, -1),
    ("verdict/streamcount.rdb", "redis-6.2 redis-7.0 redis-8.0 redis-8.6", True, -1),
    ("verdict/streamcount.rdb", "redis-8.10 valkey-9.1", False, -1),
    ("verdict/minexpire.rdb", "redis-8.0 redis-8.6 redis-8.10 valkey-9.1", False, -1),
    ("verdict/crash-at-load.rdb", "redis-8.0 redis-8.6 redis-8.10 valkey-9.1", False, -1),
    ("verdict/empty-list.rdb", "redis-7.0 redis-8.10 valkey-9.1", True, -1),
    ("rdb/c20-dup.rdb", "redis-7.0 redis-8.10 valkey-9.1", False, -1),
    ("rdb/c-empty.rdb", "redis-7.0 redis-8.10 valkey-9.1", False, -1),
    ("rdb/c17-keydb.rdb", "redis-6.2 redis-7.0 redis-8.10 valkey-9.1", True, -1),
    ("rdb/c17-keydb-cron.rdb", "redis-6.2 redis-7.0 redis-8.10 valkey-9.1", False, -1),
]

UNSURE = {
    *(f"aof/c18-{name}.aof" for name in ("bit", "cjson", "err", "select", "struct")),
    *(f"faults/{name}.aof" for name in ("bc-body", "bc-leak", "call-nan", "cjson-rec", "ret-fn", "ret-nan", "ret-rec")),
    "aof/c19-fcall.aof",
    "verdict/appendonly5.aof",
    "faults/zunionstore-alone.aof",
    "house/arity.aof",
}
"""Of these, `check-aof` says for some releases that it cannot tell: they crash where a command of a script fails, or
lacks words.
"""

PASSED_BY = {"aof/c03f-nomanifest"}
"""A set without its manifest does not load: the server passes it by and starts empty."""

ENDLESS = {"faults/loop-pcall.aof"}
"""No server gets to its end."""

CHANCE = {
    "verdict/lexmixed.aof": "a range by name of members whose scores differ: what a skip list finds depends on chance",
    "aof/c18-cjson.aof": "Valkey 9 hashes the keys of a Lua table by MurmurHash, so it writes them in another order",
}
"""Logs that mean something else from one server to the next, and why."""

NODES = (
    "{me} 127.0.0.1:7000@17000 myself,master - 0 0 2 connected 8192-16383\n"
    "0e7fb27da7c299f5d6af9eb1909192c76608eae3 127.0.0.1:7001@17001 master - 0 0 1 connected 0-8191\n"
    "vars currentEpoch 2 lastVoteEpoch 0\n"
).format(me="a" * 40)
CLUSTERED = {"aof/c38-open": NODES}
"""Logs of a cluster's node, and its nodes.conf: whose slots are whose decides what is kept."""

COVERED = {
    "aof/test_repair.py": {
        "`check-aof SET --fix --yes`, two": "test_a_fault_at_any_call_leaves_the_old_or_the_new_state",
        "`check-aof DIR --fix --yes` with a part": "test_parts_that_lead_out_of_the_directory_are_refused",
        "`--fix` on a full disk": "test_without_room_for_the_cut_it_is_repaired_where_nothing_is_to_be_saved",
    },
    "aof/test_salvage.py": {
        "salvage of many distinct unknown commands": "test_many_commands_of_unknown_names_take_little_time",
    },
    "cli/test_ending.py": {
        "`--split` on a full disk": "test_a_full_disk_leaves_no_shard",
        "Ctrl-C while importing": "test_an_interrupt_at_any_moment_is_quiet_and_leaves_nothing",
    },
    "engine/test_growth.py": {
        "PFMERGE of many": "test_forty_times_as_much_costs_about_forty_times_as_much",
    },
    "engine/test_scripting.py": {
        "loop-pcall.aof": "test_a_script_that_does_not_end_is_ended_and_the_replay_goes_on",
    },
    "engine/test_streams.py": {
        "stream ids that collide": "test_ids_whose_hashes_collide_take_no_longer",
    },
    "inputs/test_server_setup.py": {
        "`SETBIT a 4294967295 1`": "test_a_value_that_does_not_fit_is_refused_first",
    },
    "io/test_sink.py": {
        "root, output is a device, FIFO or link": "test_a_device_is_written_to_and_stays_one",
        "`convert` of a 0600 file": "test_a_new_file_is_for_nobody_to_whom_an_input_is_closed",
        "temporary files": "test_what_a_killed_process_left_is_removed_by_the_next_into_the_same_place",
        "directory fsync fails": "test_what_is_there_is_not_called_unwritten_when_its_directory_cannot_be_synced",
    },
    "tasks/test_check_aof.py": {
        "300,000 manifest lines": "test_many_files_that_are_missing_take_little_time",
    },
    "tasks/test_convert.py": {
        "convert of one 1.5 GB string": "test_a_long_string_takes_twice_its_size_at_most",
    },
    "tasks/test_dump.py": {
        "`dump FILE KEY` of a 20 MiB string": "test_a_value_of_any_size_takes_little_memory",
    },
    "tasks/test_rewrite.py": {
        "two `rewrite DIR --in-place --purge-history` at once": "test_two_at_once_leave_a_set_that_loads",
        "`rewrite --in-place` as root": "test_in_place_the_new_files_are_as_open_as_the_old",
        "`-o` into a 0700 directory": "test_a_new_directory_is_as_open_as_the_one_that_was_read",
        "`rewrite --in-place` beside a live": "test_the_log_of_a_running_server_is_left_alone_unless_forced",
        "a FIFO as a part of a set": "test_a_part_that_is_no_file_is_refused",
    },
}
"""Rows of the README about what no file shows, by how they begin, and the test of each, in its file."""
