"""What happens before and after a model, as data, and a reference of it in numpy.

Each module holds the settings that go into an app's manifest and the functions that follow them. The
Kotlin and the Swift core of the app templates follow the same settings; tests/golden/contract holds
the numbers on which all three must agree: whole numbers exactly, floats to 1e-5.
"""
