# Rows from a database.
#! function: query
#! needs: sqlite3
import sqlite3


def query(database):
    kept = [None] * 100
    for index in range(100):
        kept[index] = database.execute("select n, 'row ' || n from t").fetchall()  #! here


database = sqlite3.connect(":memory:")
database.execute("create table t (n integer)")
database.executemany("insert into t values (?)", ((number,) for number in range(10000)))
query(database)
