# A module of five thousand lines with the line near its middle.
#! function: <module>
kept = []
value = 0
value = value ^ 1  #! times 2500
for _ in range(150):
    kept.append(bytearray(1 << 20))  #! here
value = value ^ 1  #! times 2500
