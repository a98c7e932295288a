DROP TABLE damage;
